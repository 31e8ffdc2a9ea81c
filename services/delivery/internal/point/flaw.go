package point

import (
	"strings"

	"github.com/obole-market/obole/pkg/fault"
)

// Flaw is a kind of thing that is wrong with a value. Whoever shows it to a person has the words for it in their language; its names are
// those of the contract's Flaw.
type Flaw string

// What can be wrong.
const (
	Missing    Flaw = "MISSING"      // nothing stands there
	NotNumber  Flaw = "NOT_NUMBER"   // no number at all
	NotWhole   Flaw = "NOT_WHOLE"    // a number of what is counted in wholes
	OutOfRange Flaw = "OUT_OF_RANGE" // more, less or finer than can be measured
	NotTime    Flaw = "NOT_TIME"     // no date or time as the file writes them
	NeverShown Flaw = "NEVER_SHOWN"  // a time or day that the zone's clock left out
	TooEarly   Flaw = "TOO_EARLY"    // before any device was there
	TooLate    Flaw = "TOO_LATE"     // still to come
	Backwards  Flaw = "BACKWARDS"    // an end before its beginning
	TooLong    Flaw = "TOO_LONG"     // of time, more than a day
	NoZone     Flaw = "NO_ZONE"      // no time zone, or not the one that was named
	NotAllowed Flaw = "NOT_ALLOWED"  // none of what may stand there
	OutOfPlace Flaw = "OUT_OF_PLACE" // nothing may stand there
	Contrary   Flaw = "CONTRARY"     // another value of the same row says otherwise
	Cells      Flaw = "CELLS"        // other cells than the header names
	Quote      Flaw = "QUOTE"        // a quotation mark that belongs nowhere
	TooLarge   Flaw = "TOO_LARGE"    // more text than a row or element may have
	Syntax     Flaw = "SYNTAX"       // no JSON
	Shape      Flaw = "SHAPE"        // JSON of another form
)

// Wrong is what is wrong with a value: of which kind, and English words that follow its field's name. Neither shows the value. The zero
// Wrong is that nothing is.
type Wrong struct {
	Flaw  Flaw
	Words string
}

// Says puts words to a flaw.
func (f Flaw) Says(words string) Wrong { return Wrong{f, words} }

// factFlaw names the fact that says "FLAW field".
const factFlaw = "flaw"

// Of is the fault of a field with it.
func (w Wrong) Of(field string) *fault.Error {
	return w.In(fault.Invalid(field, w.Words), field)
}

// In adds to a fault that speaks of the field in words what programs are told of it.
func (w Wrong) In(f *fault.Error, field string) *fault.Error {
	return f.And(factFlaw, string(w.Flaw)+" "+field)
}

// WrongIn is what a fault made by Of says.
func WrongIn(f *fault.Error) (field string, w Wrong, ok bool) {
	said, ok := f.Fact(factFlaw)
	if !ok || len(f.Facts) == 0 {
		return "", Wrong{}, false
	}
	flaw, field, _ := strings.Cut(said, " ")
	words, ok := f.Fact(field)
	return field, Wrong{Flaw(flaw), words}, ok
}
