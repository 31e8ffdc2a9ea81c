// Package view keeps settlement's tables: accounts, the lines of their statements, holds and earnings, folded from the
// service's own log in the order of its positions, and answers questions from them.
package view
