package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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

// List shows messages: a table for people, a line of JSON each for scripts. What they are is said where there are none; heads are the
// columns' names.
func List[M proto.Message](s *Session, what string, messages []M, heads []string, row func(M) []any) error {
	if s.JSON {
		for _, m := range messages {
			if err := s.Line(m); err != nil {
				return err
			}
		}
		return nil
	}
	if len(messages) == 0 {
		s.None(what)
		return nil
	}
	rows := make([][]any, len(messages))
	for i, m := range messages {
		rows[i] = row(m)
	}
	return s.Table(heads, rows)
}

// None says to people that there is nothing of what they asked for. For scripts that is no line.
func (s *Session) None(what string) {
	if !s.JSON {
		fmt.Fprintln(s.Err, "obole: no", what)
	}
}

// Table writes rows in columns. Money, prices and moments may stand in them as they are.
func (s *Session) Table(heads []string, rows [][]any) error {
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(heads, "\t")))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = Printable(text(v))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// text is a cell as people read it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case *moneyv1.Money:
		return Money(v)
	case *moneyv1.UnitPrice:
		return Price(v)
	case Moment:
		return Time(int64(v))
	}
	return fmt.Sprint(v)
}

// Printable is a text of others without what would move a terminal's cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
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

// Message reads a message of the contract from JSON. Times are as JSON writes them, or in microseconds as the contract has them.
func Message(text []byte, to proto.Message) error {
	text, err := rewrite(text, to, change{moment: func(v any) (any, bool) {
		t, err := time.Parse(time.RFC3339, fmt.Sprint(v))
		return fmt.Sprint(t.UnixMicro()), err == nil
	}})
	if err == nil {
		err = protojson.Unmarshal(text, to)
	}
	if err != nil {
		// What marks the text as not to be relied on is a space that terminals show in many ways.
		return errors.New(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: "))
	}
	return nil
}

// JSON is a message on one line, the same for the same message: protojson alone varies its spaces. It is protojson but for times, which
// stand in RFC 3339, and for amounts of nothing, which say so.
func JSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	text, err = rewrite(text, m, change{whole: true, moment: func(v any) (any, bool) {
		micros, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
		return Moment(micros), err == nil
	}})
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}

// rewrite changes a message's JSON, and puts what is written by its names in order. Text that was read and has nothing to be changed, and
// what is no JSON, stays as it is.
func rewrite(text []byte, m proto.Message, c change) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // every digit stays
	var of map[string]any
	if d.Decode(&of) != nil {
		return text, nil //nolint:nilerr // protojson says what is wrong with it
	}
	if !c.apply(m.ProtoReflect().Descriptor(), of) && !c.whole {
		return text, nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(of)
	return out.Bytes(), err
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

// Object writes what is no message of the contract as one line of JSON, in the contract's forms: messages as JSON has them, integers of 64
// bits in quotes.
func (s *Session) Object(v any) error {
	v, err := plain(v)
	if err != nil {
		return err
	}
	return json.NewEncoder(s.Out).Encode(v)
}

func plain(v any) (any, error) {
	switch v := v.(type) {
	case proto.Message:
		text, err := JSON(v)
		return json.RawMessage(text), err
	case int64:
		return strconv.FormatInt(v, 10), nil
	case []map[string]any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := map[string]any{}
		for name, of := range v {
			var err error
			if out[name], err = plain(of); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}
