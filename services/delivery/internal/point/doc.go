// Package point is one measurement of a person: a data point of Open mHealth or IEEE 1752.1, header and body, in
// canonical units. What a scale says in pounds and a watch in miles is the same point here, whoever imported it.
//
// Units are kg, m, s, beats/min and kcal; steps are steps. A quantity is an integer of thousandths, never a float, and is
// rounded to the resolution of its measure (Measure.Resolution), half away from zero. That is coarser than what any
// consumer device measures and finer than what any of them prints, so that a float's text (52.5999984741211) becomes the
// number that was meant (52.6).
//
// A time frame is an instant or an interval, with the offset that the person's clock had. An interval is [Start, End).
// The days of a frame are counted by that clock, so that nothing that happens later to a zone moves a measurement.
//
// Traffic data of the operator (calls, messages) is in schemas of our own, namespace obole, with a Contact: the direction, a pseudonym of the
// correspondent and the cell. It is shown to its person and read by no product.
//
// A point's id is the hash of whose it is, whence, and what was measured (Identify): the same measurement imported again,
// in another file or after a correction of others, is the same point.
//
// AppendJSON writes a point as the published schemas want it, the same bytes for the same point. Reading JSON and the
// check against the schemas are the importers' (package source): this package does no I/O and knows no clock.
package point
