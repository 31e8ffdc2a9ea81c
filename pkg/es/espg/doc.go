// Package espg is the event log in PostgreSQL.
//
// # Birth
//
// Migrate creates the tables in the database of one service, gives the partitions their first incarnation and grants
// the application's role what it needs: to select and insert events, to select and upsert states, and nothing else. The
// number of partitions and the placing of roots (es.HashVersion) are fixed then; a process that differs is refused by
// Open.
//
// # Appending
//
// A session is one connection of its own, with READ COMMITTED, synchronous_commit = on and short timeouts pinned, so
// that a frozen process cannot hold a partition. An append is one round trip of two prepared statements (three with
// state rows) in one implicit transaction: take the partition's transaction lock; insert the batch if the newest event
// and the incarnation are those that the writer built on. The primary key (partition, position) is the backstop.
// Parameters are PostgreSQL's binary arrays, built into buffers that are used again.
//
// There is no row that holds the head of a partition: it would be updated with every append and bloat as long as any
// snapshot in the cluster is open. The tail is the newest position, one descent of the primary key.
//
// # Time
//
// Every answer of a session carries the server's clock, and the writer gives its batches that time, carried forward by
// at most a second and never below the partition's newest event. No clock of an application server enters the log.
//
// # What it is not
//
// It is not for PgBouncer or another pooler in transaction mode: a session pins parameters and prepared statements. It
// does not replicate: use a synchronous standby where an event must survive the server.
package espg
