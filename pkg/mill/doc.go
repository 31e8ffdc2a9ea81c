// Package mill is where Watermill is used: a Router that handles the events of package bus, and a Publisher and a Subscriber over
// kafka-go for messages that are no events.
//
// The router is given an event by a reaction and says when it is done: retried with back-off until it works or never will, one
// goroutine each, so many at a time. Which events may be at work at the same time is decided before it.
//
// Publisher and Subscriber carry any message and promise what Watermill asks for: a message is delivered at least once, and within a partition the
// next one is withheld until the last was acknowledged. What only an event has (positions, the chain, a log to refetch from) is
// package bus's matter, and checks of it belong into middleware above. Events leave a service through bus.Relay alone; nothing
// that must not be lost is published from here.
//
// # On the wire
//
// A message's payload is the record's value, each entry of its metadata a header, its UUID the header
// "_watermill_message_uuid", as in Watermill's own Kafka adapter. One named entry is also the record's key: messages with
// equal keys keep their order. A record without the UUID is named after its place: "topic/partition/offset".
//
// # Watermill's router
//
// Add PoisonQueue before Retry, or nothing is ever retried. AddHandler closes the publisher it is given: do not share it.
package mill
