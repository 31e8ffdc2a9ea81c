// Package node is what the four services have in common beside the contract's server: the log with its engine, the relay
// that publishes it, the readers of other services' topics, projections, keys, and the service that gives the log itself to
// whoever may read it. A face opens a Node, registers its roots and readers on it, and runs it.
package node
