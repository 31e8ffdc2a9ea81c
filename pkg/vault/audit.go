package vault

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Finding is what is wrong with a field or message of the contract.
type Finding struct {
	Name    protoreflect.FullName
	Problem string
}

// Files is the part of *protoregistry.Files that Audit needs.
type Files interface {
	RangeFiles(func(protoreflect.FileDescriptor) bool)
}

// Audit walks a contract and reports every field whose personal option is not a retention class, that sealing cannot reach, or
// that has no purge route because no event seals it. An event is a message with a field `sealed` of type repeated
// obole.event.v1.Sealed. The findings are ordered by name.
func Audit(files Files) []Finding {
	var found []Finding
	report := func(d protoreflect.Descriptor, problem string) {
		found = append(found, Finding{d.FullName(), problem})
	}
	sealable := map[protoreflect.FullName]bool{} // messages that an event reaches
	var marked []protoreflect.FieldDescriptor
	eachMessage(files, func(m protoreflect.MessageDescriptor) {
		if sealsItself(m) {
			reach(m, sealable)
			unsealable(m, map[protoreflect.FullName]bool{}, func(f protoreflect.FieldDescriptor, why string) { report(f, why) })
		}
		for f := range fieldsOf(m) {
			if options := f.Options(); options == nil || !proto.HasExtension(options, eventv1.E_Personal) {
				continue
			}
			if classOf(f) == 0 {
				report(f, "its personal option is not a retention class")
				continue
			}
			marked = append(marked, f)
		}
	})
	for _, f := range marked {
		if !sealable[f.ContainingMessage().FullName()] {
			report(f, "is personal, but no event that seals reaches it: it has no purge route")
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Problem, b.Problem))
	})
	return slices.Compact(found)
}

// sealsItself says whether a message is an event.
func sealsItself(m protoreflect.MessageDescriptor) bool {
	f := m.Fields().ByName("sealed")
	return f != nil && f.IsList() && f.Message() != nil && f.Message().FullName() == (&eventv1.Sealed{}).ProtoReflect().Descriptor().FullName()
}

// reach marks a message and what it holds.
func reach(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[m.FullName()] {
		return
	}
	seen[m.FullName()] = true
	for f := range fieldsOf(m) {
		if inner := within(f); inner != nil {
			reach(inner, seen)
		}
	}
}

func eachMessage(files Files, visit func(protoreflect.MessageDescriptor)) {
	var walk func(protoreflect.MessageDescriptors)
	walk = func(all protoreflect.MessageDescriptors) {
		for i := range all.Len() {
			visit(all.Get(i))
			walk(all.Get(i).Messages())
		}
	}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		walk(f.Messages())
		return true
	})
}
