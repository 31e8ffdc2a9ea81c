package archtest

import (
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The contract.
	_ "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/log/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// unbounded are fields of requests that need no rule of their own, each with why.
var unbounded = map[protoreflect.FullName]string{}

// methods visits every RPC of the contract.
func methods(visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "obole.") {
			return true
		}
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				visit(file.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
}

// TestEveryFieldOfARequestIsBounded: each text, bytes, list and map that a caller can send, however deep, has a rule that says how much of it
// there may be, or a reason why it needs none.
func TestEveryFieldOfARequestIsBounded(t *testing.T) {
	t.Parallel()
	seen, used := map[protoreflect.FullName]bool{}, map[protoreflect.FullName]bool{}
	var walk func(m protoreflect.MessageDescriptor, by protoreflect.FullName)
	walk = func(m protoreflect.MessageDescriptor, by protoreflect.FullName) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if what := missing(f); what != "" {
				used[f.FullName()] = true
				if unbounded[f.FullName()] == "" {
					t.Errorf("%s, sent to %s, has no bound of its %s", f.FullName(), by, what)
				}
			}
			if f.IsMap() {
				f = f.MapValue()
			}
			if f.Message() != nil {
				walk(f.Message(), by)
			}
		}
	}
	methods(func(m protoreflect.MethodDescriptor) { walk(m.Input(), m.FullName()) })
	for name := range unbounded {
		if !used[name] {
			t.Errorf("%s is bounded, or sent nowhere: it needs no reason", name)
		}
	}
}

// missing says what of a field has no bound.
func missing(f protoreflect.FieldDescriptor) string {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	switch {
	case f.IsMap():
		if rules.GetMap() == nil || !rules.GetMap().HasMaxPairs() {
			return "pairs"
		}
		return key(f.MapKey(), rules.GetMap().GetKeys(), "keys") + key(f.MapValue(), rules.GetMap().GetValues(), "values")
	case f.IsList():
		if rules.GetRepeated() == nil || !rules.GetRepeated().HasMaxItems() {
			return "number"
		}
		return key(f, rules.GetRepeated().GetItems(), "items")
	}
	return key(f, rules, "length")
}

// key names one value's length where nothing bounds it.
func key(f protoreflect.FieldDescriptor, rules *validate.FieldRules, what string) string {
	switch f.Kind() {
	case protoreflect.StringKind:
		s := rules.GetString()
		closed := strings.HasPrefix(s.GetPattern(), "^") && strings.HasSuffix(s.GetPattern(), "$") && !strings.ContainsAny(s.GetPattern(), "*+")
		if s == nil || !s.HasMaxLen() && !s.HasMaxBytes() && !s.HasLen() && !s.HasLenBytes() && !s.GetUuid() && !closed {
			return what
		}
	case protoreflect.BytesKind:
		if b := rules.GetBytes(); b == nil || !b.HasMaxLen() && !b.HasLen() {
			return what
		}
	}
	return ""
}
