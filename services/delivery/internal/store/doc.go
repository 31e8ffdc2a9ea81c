// Package store keeps what is no event: a person's measurements, and packages until they have been fetched. All of it is sealed
// with the person's keys, so that forgetting them erases it, and all of it may be deleted: the log keeps only that it was.
//
// Measurements stand in pages, one of each source, schema and day; neither can be read off a page's key. An import is one
// transaction: it is kept as a whole or not at all, and what it came to waits beside it until its event is in the log. Which
// days have valid slots is kept with the person, so that whoever asks what a person could offer reads one row.
package store
