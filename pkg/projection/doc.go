// Package projection keeps tables that follow a log. The position up to which a table has seen its log is one integer per
// partition, stored with the rows in one transaction: a batch is in the tables whole or not at all, and nothing is folded
// twice, whatever dies when.
//
// The tables of a projection live in a database schema of their own, named after it. Rebuilding makes them anew in a second
// schema beside the live one, from the first event on, and swaps the two in one transaction; nobody waits for it and
// nobody sees it happen. A fold that changes its version is rebuilt when the service starts.
//
// A projection folds batches: Project gets the next records in order, works out what they come to, and writes each row
// once. Its SQL names tables without a schema.
//
// Queries that a person makes after a command of theirs carry the command's cursor; Wait returns when the tables have seen it.
package projection
