package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/money/moneypb"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
)

// Pages reads a list to its end.
func Pages[M any](fetch func(page string) ([]M, string, error)) ([]M, error) {
	var all []M
	for page := ""; ; {
		some, next, err := fetch(page)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if next == "" {
			return all, nil
		}
		page = next
	}
}

// List shows messages: a table for people, a line of JSON each for scripts. Heads are the columns' names.
func List[M proto.Message](s *Session, messages []M, heads []string, row func(M) []any) error {
	if s.JSON {
		for _, m := range messages {
			if err := s.Line(m); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]any, len(messages))
	for i, m := range messages {
		rows[i] = row(m)
	}
	return s.Table(heads, rows)
}

// Table writes rows in columns.
func (s *Session) Table(heads []string, rows [][]any) error {
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(heads, "\t")))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = strings.Map(printable, fmt.Sprint(v))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// printable drops what would move a terminal's cursor: names and texts are other people's.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return ' '
	}
	return r
}

// Answer is what a service says to a command, with the place in its log up to which that holds.
type Answer interface {
	proto.Message
	GetCursor() *eventv1.Cursor
}

// One shows an answer: a line for people, of JSON for scripts.
func (s *Session) One(m proto.Message, format string, args ...any) error {
	if s.JSON {
		return s.Line(m)
	}
	_, err := fmt.Fprintf(s.Out, format+"\n", args...)
	return err
}

// Line writes a message as one line of JSON, with the contract's names.
func (s *Session) Line(m proto.Message) error {
	line, err := JSON(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "%s\n", line)
	return err
}

// Message reads a message of the contract from JSON.
func Message(text []byte, to proto.Message) error {
	if err := protojson.Unmarshal(text, to); err != nil {
		// What marks the text as not to be relied on is a space that terminals show in many ways.
		return errors.New(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: "))
	}
	return nil
}

// JSON is a message on one line, the same for the same message: protojson alone varies its spaces.
func JSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}

// Word is an enum's value as people read it: "open" for BID_STATE_OPEN, "-" for the unset.
func Word(e protoreflect.Enum) string {
	n := e.Number()
	if n == 0 {
		return "-"
	}
	values := e.Descriptor().Values()
	v := values.ByNumber(n)
	if v == nil {
		return fmt.Sprint(n)
	}
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(string(v.Name()), prefix), "_", " "))
}

// Enum is an enum of the contract.
type Enum = protoreflect.Enum

// Number finds an enum's value by its word; dashes and underscores stand for spaces. Words lists those that there are.
func Number[E protoreflect.Enum](word string) (E, bool) {
	var none E
	values := none.Descriptor().Values()
	word = strings.NewReplacer("-", " ", "_", " ").Replace(strings.ToLower(word))
	for i := range values.Len() {
		e, ok := none.Type().New(values.Get(i).Number()).(E)
		if ok && e.Number() != 0 && Word(e) == word {
			return e, true
		}
	}
	return none, false
}

// Words are the values that Number knows.
func Words[E protoreflect.Enum]() string {
	var none E
	values := none.Descriptor().Values()
	var words []string
	for i := range values.Len() {
		if e := none.Type().New(values.Get(i).Number()); e.Number() != 0 {
			words = append(words, strings.ReplaceAll(Word(e), " ", "-"))
		}
	}
	return strings.Join(words, ", ")
}

// Money is an amount as people read it.
func Money(m *moneyv1.Money) string {
	a, err := moneypb.Amount("", m)
	if err != nil {
		return "-"
	}
	return a.String()
}

// Price is a price as people read it.
func Price(p *moneyv1.UnitPrice) string {
	v, err := moneypb.Price("", p)
	if err != nil {
		return "-"
	}
	return v.String()
}

// Time is a moment of the contract, microseconds since 1970, as people read it.
func Time(micros int64) string {
	if micros == 0 {
		return "-"
	}
	return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05Z")
}

// Object writes what is no message of the contract as one line of JSON.
func (s *Session) Object(v any) error { return json.NewEncoder(s.Out).Encode(v) }
