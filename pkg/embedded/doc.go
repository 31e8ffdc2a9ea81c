// Package embedded is the single-machine default: a PostgreSQL that runs as a child of this process and a broker
// inside it, both with their data in one folder each, so that a newcomer needs nothing but the program. Both are the
// real thing as far as their clients can tell; neither is for more than one machine.
//
// [Postgres] keeps its data over restarts and kill -9, also of the machine. [Broker] keeps topics and records over
// restarts and kill -9 of the process; whatever it loses with the machine, the relay fills in again from the log.
package embedded
