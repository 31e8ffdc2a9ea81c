// Package wire turns the book's domain events into the contract's bytes and back, and its states into rows. Nothing here is
// personal: settlement's replay outlives every erasure.
package wire
