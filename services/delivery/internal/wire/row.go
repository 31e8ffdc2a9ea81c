package wire

import (
	"encoding/binary"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// writer appends what rows are made of.
type writer struct{ b []byte }

func (w *writer) id(v id.ID) { w.b = append(w.b, v[:]...) }

func (w *writer) int(n int) { w.b = binary.AppendVarint(w.b, int64(n)) }

func (w *writer) text(s string) {
	w.int(len(s))
	w.b = append(w.b, s...)
}

func (w *writer) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

// count writes the length of a list, and keeps none apart from an empty one.
func (w *writer) count(n int, none bool) {
	if none {
		n = -1
	}
	w.int(n)
}

// days are written by their distances: they are ascending, and mostly follow each other.
func (w *writer) days(list []shelf.Day) {
	w.count(len(list), list == nil)
	last := shelf.Day(0)
	for _, d := range list {
		w.int(int(d - last))
		last = d
	}
}

// reader takes a row apart. What is not as writer writes it is noted, and read as nothing.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b, n = true, nil, 0
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) id() (v id.ID) {
	copy(v[:], r.take(len(v)))
	return v
}

func (r *reader) int() int {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) text() string { return string(r.take(r.int())) }

func (r *reader) bool() bool {
	b := r.take(1)
	return len(b) == 1 && b[0] == 1
}

// length reads that of a list whose parts have so many bytes at least: none is longer than what is left can hold.
func (r *reader) length(each int) int {
	n := r.int()
	if n < 0 || n > len(r.b)/each {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

// count is length of a list that may be none.
func (r *reader) count(each int) (n int, some bool) {
	if len(r.b) > 0 && r.b[0] == 1 { // -1
		r.b = r.b[1:]
		return 0, false
	}
	return r.length(each), true
}

func (r *reader) days() []shelf.Day {
	n, some := r.count(1)
	if !some {
		return nil
	}
	list, last := make([]shelf.Day, n), shelf.Day(0)
	for i := range list {
		last += shelf.Day(r.int())
		list[i] = last
	}
	return list
}
