package client

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/fault"
)

// TestNamesAreFieldsOfTheContract: every path of the table is a field of some request.
func TestNamesAreFieldsOfTheContract(t *testing.T) {
	t.Parallel()
	paths := map[string]bool{}
	var walk func(prefix string, m protoreflect.MessageDescriptor, depth int)
	walk = func(prefix string, m protoreflect.MessageDescriptor, depth int) {
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			path := strings.TrimPrefix(prefix+string(f.Name()), "header.")
			paths[path] = true
			if f.Message() != nil && depth > 0 {
				walk(prefix+string(f.Name())+".", f.Message(), depth-1)
			}
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if in := methods.Get(j).Input(); strings.HasPrefix(string(in.FullName()), "obole.") {
					walk("", in, 3)
				}
			}
		}
		return true
	})
	paths["body"] = true // of a measurement, which a request holds as bytes
	for path := range names {
		if !paths[path] {
			t.Errorf("no request has a field %s", path)
		}
	}
}

// TestWordsOfTheCommandLine: a field is called what was typed, or was not; what the command has no word for keeps its path.
func TestWordsOfTheCommandLine(t *testing.T) {
	t.Parallel()
	flags := &Session{Params: Params{
		"price": {Shown: "--price", Given: true}, "slots": {Shown: "--slots"}, "field": {Shown: "--field", Given: true},
		"days": {Shown: "--days", Given: true}, "buyer": {Shown: "<buyer>", Given: true}, "file": {Shown: "<file>", Contract: "bid"},
	}}
	file := &Session{Params: Params{
		"price": {Shown: "--price", Given: true}, "slots": {Shown: "--slots"}, "file": {Shown: "<file>", Given: true, Contract: "bid", File: "bid.json"},
	}}
	seat := &Session{Params: Params{"country": {Shown: "--country", Given: true}, "processing": {Shown: "--processing"}}}
	for _, tc := range []struct {
		s    *Session
		err  *fault.Error
		want string
	}{
		{flags, fault.Invalid("bid.terms.unit_price.micros", "must be more"), "--price: must be more"},
		{flags, fault.Invalid("bid.quantity", "must be at least 1"), "--slots: is missing"},
		{flags, fault.Invalid("bid.terms.fields[2].rung", "is not on the ladder"), "--field #3: is not on the ladder"},
		{flags, fault.Invalid("bid.terms.slots.first", "does not match regex pattern `^x$`"), "--days: is not of the form 2016-04-12..2016-05-12"},
		{flags, fault.Invalid("bid.terms.recipients[0].country", "is none"), "bid.terms.recipients[0].country: is none"},
		{flags, fault.Invalid("buyer_id", "must be a UUID").And("bid.quantity", "x"), "<buyer>: must be a UUID; --slots: is missing"},
		{flags, fault.Refuse("TERMS_INVALID", "no", fault.Fact{Name: "bid.quantity", Text: "is too much"}), "no (--slots: is too much) [TERMS_INVALID]"},
		{flags, fault.Denied("NOT_OWNER", "no", fault.Fact{Name: "field", Text: "buyer_id"}), "no (field: <buyer>) [NOT_OWNER]"},
		{seat, fault.Invalid("entity.country", "does not match regex pattern `^x$`").And("entity.processing_countries[0]", "does not match regex pattern `^x$`"), "--country: is not of the form BE"},
		{flags, fault.New(fault.KindCanceled, "", "context canceled"), "stopped before the end"},
		{file, fault.Invalid("bid.quantity", "must be at least 1"), "quantity in bid.json: must be at least 1"},
		{file, fault.Invalid("bid.terms.unit_price", "value is required"), "--price: is missing"},
		{file, fault.Invalid("bid.terms.recipients[0].country", "value is required"), "terms.recipients[0].country in bid.json: is missing"},
	} {
		if got := tc.s.Explain(Usage("%w", tc.err)); got != tc.want {
			t.Errorf("%v is said as\n%s, want\n%s", tc.err, got, tc.want)
		}
	}
}
