// Package record tells a person what happened to them: which events of a service's log are about whom, and these events, made into
// entries for the one who asks.
//
// A table says only where: person, partition and position. What happened stays in the log, sealed; it is opened when it is asked for, so
// that what is forgotten is forgotten here as well. An event is about the person whose id it carries in clear; one that carries none is
// about the person of whom an earlier event of the same stream was. The contract's descriptors say where an event carries an id, so a new
// arm needs nothing here.
//
// What the entry of an event says is the service's to fill in (Book.Tell).
package record
