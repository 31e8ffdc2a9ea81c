// Package minimise turns a person's data points into what may leave: rows with the granted fields alone, each at its granted
// rung. Its functions are pure: the same points in any order give the same bytes.
//
// # Slots
//
// A slot is a local day by the clock that the point carries; a night is of the day on which it ends. Whether it counts is
// its product's rule (rule.go), one for each version of a product that is known here. Check refuses a catalogue that trades
// in anything else, so that a wrong configuration is found at the start.
//
// # One measurement, once
//
// The same steps come by the minute, by the hour and by the day, and from two devices. No moment of a slot is counted twice:
// points are taken in the order of their assurance, strongest first, then the day's own before hours before minutes, then
// the latest written, and one that overlaps what is taken already is left out. Nothing is added to a day's own point.
//
// A slot has the strongest assurance at which it counts. Weaker points are in no value of its row, not even of a field that
// only they hold: what a buyer is told of a slot's assurance is true of the whole row.
//
// # Rows
//
// A row holds every granted field, null where nothing was measured. Rows are in the order of their bytes: with the date at a
// coarser rung, the order of days must not give the day away.
//
// What is sealed, for whom and when, is not decided here.
package minimise
