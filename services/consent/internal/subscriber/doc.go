// Package subscriber decides whether data about one person may be used, now. Its root is the person; the person's
// consents are its children, one per agreement.
//
// The gate reads the person's own state alone: it holds every living consent, so that withdrawing all is one event and
// no second look is needed. A consent's own stream keeps its history, and its state only remembers that it was answered.
//
// The package is pure: who barred a buyer, what a country's law says and what a price comes to are told by the command.
package subscriber
