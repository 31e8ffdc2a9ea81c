package vault

import (
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// plan says where in a message type personal fields are. It may refer to itself, as messages may.
type plan struct {
	fields []personal
	// inner are messages that have personal fields beneath; oneofs the same for arms, of which at most one is set.
	inner  []step
	oneofs []choice
}

type personal struct {
	desc  protoreflect.FieldDescriptor
	class Retention
}

type step struct {
	desc protoreflect.FieldDescriptor
	plan *plan
}

type choice struct {
	desc protoreflect.OneofDescriptor
	arms map[protoreflect.FieldNumber]*plan
}

// each calls visit for every message within m that is set and has a plan.
func (p *plan) each(m protoreflect.Message, visit func(protoreflect.FieldDescriptor, *plan)) {
	for _, s := range p.inner {
		if m.Has(s.desc) {
			visit(s.desc, s.plan)
		}
	}
	for _, c := range p.oneofs {
		if arm := m.WhichOneof(c.desc); arm != nil {
			if inner := c.arms[arm.Number()]; inner != nil {
				visit(arm, inner)
			}
		}
	}
}

// holds says whether any personal field is set.
func (p *plan) holds(m protoreflect.Message) bool {
	for _, f := range p.fields {
		if m.Has(f.desc) {
			return true
		}
	}
	found := false
	p.each(m, func(desc protoreflect.FieldDescriptor, inner *plan) {
		found = found || inner.holds(m.Get(desc).Message())
	})
	return found
}

// known are the plans by message descriptor: of *plan, or of error where the type cannot be sealed.
var known sync.Map

// planOf is nil for a type without personal fields.
func planOf(m protoreflect.MessageDescriptor) (*plan, error) {
	v, ok := known.Load(m)
	if !ok {
		v = makePlan(m)
		known.Store(m, v)
	}
	switch v := v.(type) {
	case *plan:
		return v, nil
	case error:
		return nil, v
	}
	return nil, nil
}

func makePlan(m protoreflect.MessageDescriptor) any {
	var fault error
	unsealable(m, map[protoreflect.FullName]bool{}, func(f protoreflect.FieldDescriptor, why string) {
		fault = ErrContract.And(string(f.FullName()), why)
	})
	if fault != nil {
		return fault
	}
	if !personalBeneath(m, map[protoreflect.FullName]bool{}) {
		return (*plan)(nil)
	}
	return build(m, map[protoreflect.FullName]*plan{})
}

func build(m protoreflect.MessageDescriptor, begun map[protoreflect.FullName]*plan) *plan {
	if p, ok := begun[m.FullName()]; ok {
		return p
	}
	p := &plan{}
	begun[m.FullName()] = p
	for f := range fieldsOf(m) {
		class, inner := classOf(f), within(f)
		switch {
		case class != 0:
			p.fields = append(p.fields, personal{f, class})
		case inner == nil || !personalBeneath(inner, map[protoreflect.FullName]bool{}):
		case f.ContainingOneof() != nil && !f.ContainingOneof().IsSynthetic():
			p.arms(f.ContainingOneof())[f.Number()] = build(inner, begun)
		default:
			p.inner = append(p.inner, step{f, build(inner, begun)})
		}
	}
	return p
}

// arms finds or adds a choice.
func (p *plan) arms(o protoreflect.OneofDescriptor) map[protoreflect.FieldNumber]*plan {
	for _, c := range p.oneofs {
		if c.desc == o {
			return c.arms
		}
	}
	c := choice{o, map[protoreflect.FieldNumber]*plan{}}
	p.oneofs = append(p.oneofs, c)
	return c.arms
}

// unsealable reports every personal field, beneath a message, that sealing cannot reach.
func unsealable(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool, report func(protoreflect.FieldDescriptor, string)) {
	if seen[m.FullName()] {
		return
	}
	seen[m.FullName()] = true
	for f := range fieldsOf(m) {
		inner := within(f)
		if inner == nil {
			continue
		}
		beneath := personalBeneath(inner, map[protoreflect.FullName]bool{})
		switch {
		case classOf(f) != 0 && beneath:
			report(f, "is personal and has personal fields within")
		case f.Cardinality() == protoreflect.Repeated && beneath:
			report(f, "is repeated and has personal fields within its elements: mark the whole field")
		default:
			unsealable(inner, seen, report)
		}
	}
}

// personalBeneath says whether a message has personal fields, itself or in what it holds.
func personalBeneath(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[m.FullName()] {
		return false
	}
	seen[m.FullName()] = true
	for f := range fieldsOf(m) {
		if classOf(f) != 0 {
			return true
		}
		if inner := within(f); inner != nil && personalBeneath(inner, seen) {
			return true
		}
	}
	return false
}

// within is the message type of a field, of a map's values; nil for scalars.
func within(f protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if f.IsMap() {
		f = f.MapValue()
	}
	return f.Message()
}

// classOf is the retention class of a personal field, 0 for any other.
func classOf(f protoreflect.FieldDescriptor) Retention {
	options := f.Options()
	if options == nil || !proto.HasExtension(options, eventv1.E_Personal) {
		return 0
	}
	class, ok := proto.GetExtension(options, eventv1.E_Personal).(Retention)
	if !ok || class < 1 || int(class) > len(classes) {
		return 0
	}
	return class
}

func fieldsOf(m protoreflect.MessageDescriptor) func(yield func(protoreflect.FieldDescriptor) bool) {
	return func(yield func(protoreflect.FieldDescriptor) bool) {
		fields := m.Fields()
		for i := range fields.Len() {
			if !yield(fields.Get(i)) {
				return
			}
		}
	}
}
