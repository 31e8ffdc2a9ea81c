package client

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
)

// moments are the fields of the contract, by their last part, that hold a time in microseconds since 1970 and do not say so by ending in _at.
var moments = map[protoreflect.Name]bool{
	"answer_due": true, "at": true, "delete_due_before": true, "due": true, "ends_before": true, "up_to": true, "valid_from": true, "valid_to": true,
}

// isMoment says whether a field holds a time.
func isMoment(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.Int64Kind && (moments[f.Name()] || strings.HasSuffix(string(f.Name()), "_at"))
}

// Moment is a time, microseconds since 1970, as scripts read it: RFC 3339 in UTC.
type Moment int64

// MarshalJSON writes it.
func (m Moment) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.UnixMicro(int64(m)).UTC().Format(time.RFC3339Nano))
}

// change is what becomes of a message's JSON, which has been decoded with its numbers kept.
type change struct {
	moment func(any) (any, bool) // gives a time another form, where it has the one that this is about
	whole  bool                  // it is written: an amount of nothing says so, which protojson leaves out
}

// apply changes what there is to be changed, and says whether there was anything.
func (c change) apply(m protoreflect.MessageDescriptor, of map[string]any) (changed bool) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		for _, name := range []string{f.TextName(), f.JSONName()} { // the contract's, which we write, and the one that others may write
			v, there := of[name]
			switch {
			case !there:
			case isMoment(f):
				if fresh, is := c.moment(v); is {
					of[name], changed = fresh, true
				}
			case f.Message() != nil:
				list, is := v.([]any)
				if !is {
					list = []any{v}
				}
				for _, v := range list {
					if inner, is := v.(map[string]any); is {
						changed = c.apply(f.Message(), inner) || changed
					}
				}
			}
		}
	}
	if amount := amounts[m.FullName()]; c.whole && amount != "" && of[amount] == nil {
		of[amount], changed = "0", true
	}
	return changed
}

// amounts are the messages of money, and which of their fields says how much.
var amounts = map[protoreflect.FullName]string{
	(*moneyv1.Money)(nil).ProtoReflect().Descriptor().FullName(): "minor", (*moneyv1.UnitPrice)(nil).ProtoReflect().Descriptor().FullName(): "micros",
}
