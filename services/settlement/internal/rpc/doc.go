// Package rpc serves settlement's contract: requests become commands of the book, queries read the view once it has seen
// what the caller has seen, and the log itself is streamed as it is stored.
package rpc
