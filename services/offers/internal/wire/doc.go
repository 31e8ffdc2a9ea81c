// Package wire turns offers' domain events into the contract's bytes and back, and its states into rows. Nothing in this
// context is personal: ids are random, and terms are the same for everybody.
package wire
