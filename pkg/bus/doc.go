// Package bus carries events between services: out of a log onto its topic, and from a topic to whoever reacts.
//
// # Out
//
// A Relay tails one partition of a log and publishes it to the topic partition of the same number. One relay works at a time,
// under a session lock of the log's database; should two ever work at once, each batch carries a producer id and sequence
// that the broker checks, and what slips through is a repeat that readers drop. Whenever a relay begins, or the broker
// answers otherwise than expected, it takes a new epoch, writes a marker, reads back to the newest event on the topic,
// compares that event's id with the log, and goes on behind it. An empty topic is filled from the first event.
//
// # In
//
// A Feed reads topics as a member of a consumer group, which decides who reads which partition and nothing else. How far it
// has come is a row in the reader's own database, written in the transaction of what the events caused: the incarnation,
// the position, the chain and, as a hint, the offset. A position that was seen is a repeat and dropped; the next one is
// checked against the chain; anything else is a gap, which is fetched from the owner's log. Records without our headers
// are counted and passed over.
//
// Two kinds of readers exist. A Table folds whole batches into rows, in one transaction with the position. A Reaction turns
// each event into a call of ours, whose command id derives from the event's: handled twice, it is the same command. Reactions
// of different roots run side by side, those of one root in order: what was decided together is told in order, except for types
// that say nothing about each other. What may work later is tried until it works. What never will, a poison event, is parked with all
// that must wait for it, and other people's go on; an operator has it handled again, in order. Types named to overtake (withdrawals,
// pauses, suspensions) wait for neither.
//
// # On the wire
//
// A record's key is its stream, its value the context's Event message. Its headers are CloudEvents' binary ones (ce_specversion,
// ce_id, ce_source, ce_type) and one of ours, "obole": everything else the log knows, at fixed places. A reader of CloudEvents
// needs only the first; a log that lost its tail can be made whole from all of them.
package bus
