// Package es is the event log and what decides on it.
//
// A Log is N partitions, each one dense sequence of events, chained by hash. A stream is a root's id, or a root's and a child's;
// everything of one root is in one partition, so that a decision over several of its streams needs no saga. An event says what
// happened, in the past tense, and is never changed.
//
// Rules are what a root decides by: Decide turns a command and the present states into events, Evolve folds an event into a
// state. Both are pure. An Engine hosts the rules of one service and runs one writer per partition: it takes what is queued,
// loads what it does not hold in one round trip, decides in order in memory, and appends everything in another, provided that
// the log still ends where it knew it to end. A stream that a command says it creates is not loaded first: the log objects to
// a second first event. If the tail has moved, another process has written: it reads what it missed, decides again, and
// appends under the partition's lock. So any number of engines may work on one log, and a hot stream never conflicts with
// itself.
//
// A command has an id that its caller chooses. The same command again gives the same events; the same id with another request
// is refused. Events of one command are stored together or not at all.
//
// Readers keep one integer per partition. Checker asserts that positions have no hole and that the chain holds: an event that
// was altered, dropped or inserted is found by whoever reads next.
//
// The package is not a framework for domains, which import nothing of it, and it publishes nothing: package bus tails the log.
package es
