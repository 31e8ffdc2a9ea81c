// Package rpc serves consent's contract: the person's will becomes commands, and the gate answers from the present state of
// the log and from nothing else.
package rpc
