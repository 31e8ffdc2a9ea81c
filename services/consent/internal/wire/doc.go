// Package wire turns consent's domain events into the contract's bytes and back, sealing what is personal on the way. It
// lifts old shapes to new ones; it does no I/O.
package wire
