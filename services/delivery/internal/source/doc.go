// Package source turns files that people and devices export into data points (package point).
//
// One importer is one file of code: bandicoot.go reads the operator's call detail records, mobility.go its stays in cells and usage.go
// its data use (what the three have in common is in feed.go), fitabase.go reads the CSV files of Fitabase, withings.go the JSON of the Withings API,
// points.go data points of Open mHealth and IEEE 1752.1 as they are. Import finds out which one a file is for and streams
// it: memory does not grow with the file, and emit is called for each point as it is read.
//
// # All or nothing
//
// The first row that cannot be understood ends the import with an error, after points before it were emitted. Keeping
// nothing of such a file is the caller's transaction: insert what is emitted, commit when Import has returned without an
// error, roll back otherwise. Rows are not held back here, as that would hold the file.
//
// Points are emitted as often as they stand in the file. The same measurement twice is the same point id twice: the
// caller's insert does nothing the second time.
//
// # What the file does not say
//
// Times without an offset are local, and the caller must name the zone (Options.Zone) unless the file does. A local time
// that the zone's clock showed twice is taken as the first of the two. One that the clock never showed is an error, unless
// nothing was measured at it: some devices write rows of zeros for the hour that summer time skips. A local day begins at
// its first instant.
//
// A file of several persons is imported for one of them, named as the file names them (Options.Participant). Every row is
// checked, that person's rows become points, and the name is used for nothing else.
//
// # Other people
//
// Call detail records name a third person in every row. That name goes into Options.Correspondent as the row is read and comes out as a
// pseudonym that only the person's own key can make; it is in no point, error or log. Points of those schemas are taken from the operator's
// feed only: the importer of points and Read refuse them. Stays in cells and data use name nobody else, and come by the feed alone as well:
// a file from elsewhere does not show whose they are.
//
// # Errors
//
// What is wrong with a file is a fault of kind invalid whose reason says what to do (FORMAT_UNKNOWN, ROW_INVALID,
// ZONE_MISSING, PERSON_MISSING) and whose facts name file, line and field, and the kind of flaw (point.Flaw). The value itself is in no error: it is personal.
// An error of the reader, of emit or of the context is returned as it is.
package source
