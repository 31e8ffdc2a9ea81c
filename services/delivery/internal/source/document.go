package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"
	"strings"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// maxElement bounds what is held of a JSON file at once: one element of its lists, in bytes.
const maxElement = 4 << 20

// document streams a JSON file: its structure as tokens, the elements of its lists one at a time.
type document struct {
	in    *input
	dec   *json.Decoder
	lines *lineCounter
}

func (in *input) document() *document {
	d := &document{in: in, lines: &lineCounter{r: in.r}}
	d.dec = json.NewDecoder(d.lines)
	d.dec.UseNumber()
	return d
}

// lineCounter knows on which line a byte stands, and refuses to read far ahead of what was used.
type lineCounter struct {
	r      io.Reader
	read   int64
	used   int64
	line   int64   // of the byte at used, from 0
	ends   []int64 // line ends from used on
	tooBig bool
}

func (c *lineCounter) Read(b []byte) (int, error) {
	room := maxElement + 1 - (c.read - c.used)
	if room <= 0 {
		c.tooBig = true
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.r.Read(b[:min(int64(len(b)), room)])
	for i, v := range b[:n] {
		if v == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	return n, err
}

// at is the line of a byte that is not before the last one asked for, from 1.
func (c *lineCounter) at(offset int64) int64 {
	passed := sort.Search(len(c.ends), func(i int) bool { return c.ends[i] >= offset })
	c.line += int64(passed)
	c.ends = append(c.ends[:0], c.ends[passed:]...)
	c.used = offset
	return c.line + 1
}

// fail says what is wrong with the JSON at hand, on the line where what cannot be read begins.
func (d *document) fail(err error) error {
	rest, _ := io.ReadAll(d.dec.Buffered()) // from memory
	blanks := len(rest) - len(bytes.TrimLeft(rest, " \t\r\n"))
	d.in.line = d.lines.at(d.dec.InputOffset() + int64(blanks))
	var syntax *json.SyntaxError
	switch {
	case d.lines.tooBig:
		return d.in.wrong("element", point.TooLarge.Says("is larger than 4 MiB"))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return d.in.wrong("end", point.Syntax.Says("of the file comes in the middle"))
	case errors.As(err, &syntax):
		return d.in.wrong("syntax", point.Syntax.Says("is not that of JSON"))
	}
	return err
}

// token reads one token.
func (d *document) token() (json.Token, error) {
	t, err := d.dec.Token()
	if err != nil {
		return nil, d.fail(err)
	}
	d.in.line = d.lines.at(d.dec.InputOffset())
	return t, nil
}

// value reads a whole value as it stands.
func (d *document) value() (json.RawMessage, error) {
	var raw json.RawMessage
	if err := d.dec.Decode(&raw); err != nil {
		return nil, d.fail(err)
	}
	end := d.dec.InputOffset()
	d.in.line = d.lines.at(end - int64(len(raw)))
	d.lines.at(end) // the next one may be as large
	return raw, nil
}

// list calls visit for each element of a list, whose opening bracket has been read.
func (d *document) list(visit func(json.RawMessage) error) error {
	for d.dec.More() {
		raw, err := d.value()
		if err != nil {
			return err
		}
		if err := visit(raw); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// object calls visit for each key of an object, whose opening brace has been read; visit reads the value.
func (d *document) object(visit func(key string) error) error {
	for d.dec.More() {
		t, err := d.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return d.in.wrong("syntax", point.Syntax.Says("is not that of JSON"))
		}
		if err := visit(key); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// end makes sure that nothing follows.
func (d *document) end() error {
	if _, err := d.dec.Token(); !errors.Is(err, io.EOF) {
		d.in.line = d.lines.at(d.dec.InputOffset())
		return d.in.wrong("end", point.Syntax.Says("of the JSON is not the end of the file"))
	}
	return nil
}

// into decodes an element that value has read.
func (d *document) into(what string, raw json.RawMessage, to any) error {
	return d.in.into(what, raw, to)
}

func (in *input) into(what string, raw json.RawMessage, to any) error {
	err := json.Unmarshal(raw, to)
	if err == nil {
		return nil
	}
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return in.wrong(what, point.Shape.Says("is not what it should be")) // the text of the error may hold the value
	}
	in.line += int64(bytes.Count(raw[:min(int(kind.Offset), len(raw))], []byte{'\n'}))
	return in.wrong(strings.Trim(what+"."+kind.Field, "."), point.Shape.Says("is of the wrong kind"))
}
