package source

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// row is one line of a CSV file, cut at its commas. Cells are only valid until the next row.
type row struct {
	buffer []byte
	cells  [][]byte
}

// next reads the next line that is not empty; io.EOF when there is none. Lines end with LF or CRLF, the last one maybe with
// nothing. A cell in quotes may hold commas and doubled quotes, but no line break: no format read here has one, and a
// quote that is never closed must not swallow the file.
func (in *input) next(r *row) error {
	for {
		line, err := in.r.ReadSlice('\n')
		in.line++
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return in.wrong("row", point.TooLarge.Says("is longer than any row of this format"))
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case len(line) == 0:
			return io.EOF
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
		if len(line) == 0 {
			continue
		}
		r.buffer, r.cells = append(r.buffer[:0], line...), r.cells[:0]
		if !r.cut() {
			return in.wrong("row", point.Quote.Says("has a quote out of place"))
		}
		return nil
	}
}

func (r *row) cut() bool {
	rest := r.buffer
	for {
		cell, after, more := bytes.Cut(rest, []byte{','})
		if bytes.IndexByte(cell, '"') >= 0 {
			var ok bool
			if cell, after, more, ok = cutQuoted(rest); !ok {
				return false
			}
		}
		r.cells = append(r.cells, bytes.TrimSpace(cell))
		if !more {
			return true
		}
		rest = after
	}
}

// cutQuoted takes a quoted cell off the beginning of a line and undoes its quotes in place.
func cutQuoted(line []byte) (cell, after []byte, more, ok bool) {
	if line[0] != '"' {
		return nil, nil, false, false
	}
	to := 0
	for i := 1; i < len(line); i++ {
		if line[i] == '"' {
			if i+1 == len(line) {
				return line[:to], nil, false, true
			}
			if line[i+1] == ',' {
				return line[:to], line[i+2:], true, true
			}
			if line[i+1] != '"' {
				return nil, nil, false, false
			}
			i++
		}
		line[to] = line[i]
		to++
	}
	return nil, nil, false, false
}

// columns finds where columns stand by their names.
type columns map[string]int

func columnsOf(header [][]byte) columns {
	c := make(columns, len(header))
	for i, name := range header {
		if _, twice := c[string(name)]; !twice {
			c[string(name)] = i
		}
	}
	return c
}

func (c columns) has(names ...string) bool {
	for _, name := range names {
		if _, ok := c[name]; !ok {
			return false
		}
	}
	return true
}
