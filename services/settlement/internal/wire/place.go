package wire

import (
	"sync/atomic"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// named is a place in the book with the name of its stream.
type named struct {
	on   book.On
	name es.Stream
}

// places are those named last, each in the slot of the last digits of its id. One settlement asks for a dozen names, and the
// next one for most of them again: made anew each time, they would be a tenth of its cost.
var places [1 << 12]atomic.Pointer[named]

// Stream is the name of a place in the book.
func Stream(on book.On) es.Stream {
	last := on.Child
	if last.IsZero() {
		last = on.Book.ID
	}
	slot := &places[uint(last[14]&0xf)<<8|uint(last[15])]
	if p := slot.Load(); p != nil && p.on == on {
		return p.name
	}
	name := es.StreamOf(on.Book.ID)
	if !on.Child.IsZero() {
		name = name.Child(on.Child)
	}
	slot.Store(&named{on, name})
	return name
}

// Place is Stream's inverse, for names that Stream has made.
func Place(s es.Stream) (on book.On) {
	const text = 36
	n := len(s)
	slot := &places[digit(s[n-3])<<8|digit(s[n-2])<<4|digit(s[n-1])]
	if p := slot.Load(); p != nil && p.name == s {
		return p.on
	}
	on.Book.ID, _ = id.Parse(s.Root())
	if n > text {
		on.Child, _ = id.Parse(string(s[text+1:]))
	}
	slot.Store(&named{on, s})
	return on
}

// digit is the value of a lower-case hexadecimal digit.
func digit(c byte) uint {
	if c >= 'a' {
		c -= 'a' - 10
	}
	return uint(c & 0xf)
}
