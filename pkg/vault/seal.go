package vault

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"

	"github.com/obole-market/obole/pkg/id"
)

// parts are messages with the personal fields of one class each, by class less one; nil where there are none.
type parts [len(classes)]protoreflect.Message

// takeOut moves the personal fields out of a message; nil when it has none.
func takeOut(m protoreflect.Message) (*parts, error) {
	p, err := planOf(m.Descriptor())
	if p == nil || err != nil {
		return nil, err
	}
	v := mover{root: m}
	v.move(m, p)
	if !v.any {
		return nil, nil
	}
	return &v.parts, nil
}

// mover walks a message along its plan.
type mover struct {
	root  protoreflect.Message
	path  []protoreflect.FieldDescriptor // from the root to where it stands
	parts parts
	any   bool
}

func (v *mover) move(m protoreflect.Message, p *plan) {
	for _, f := range p.fields {
		if m.Has(f.desc) {
			v.part(f.class).Set(f.desc, m.Get(f.desc))
			m.Clear(f.desc)
		}
	}
	p.each(m, func(desc protoreflect.FieldDescriptor, inner *plan) {
		v.path = append(v.path, desc)
		v.move(m.Get(desc).Message(), inner)
		v.path = v.path[:len(v.path)-1]
	})
}

// part is the message, inside the part of a class, that corresponds to where the mover stands.
func (v *mover) part(class Retention) protoreflect.Message {
	v.any = true
	at := &v.parts[class-1]
	if *at == nil {
		*at = v.root.New()
	}
	m := *at
	for _, desc := range v.path {
		m = m.Mutable(desc).Message()
	}
	return m
}

// putBack opens every box and merges what is in it into the message.
func putBack(find func(id.ID) *key, m proto.Message, sealed []*eventv1.Sealed, aad []byte) (erased []Retention, err error) {
	p, err := planOf(m.ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	if p != nil && p.holds(m.ProtoReflect()) {
		return nil, ErrClear.And("message", m.ProtoReflect().Descriptor().FullName())
	}
	var seen [len(classes) + 1]bool
	for _, s := range sealed {
		name, ok := keyID(s.GetKeyId())
		if !ok {
			return nil, ErrTampered
		}
		k := find(name)
		switch {
		case k == nil:
			return nil, ErrKeyUnknown.And("key", name)
		case k.class != s.GetRetention() || seen[k.class]:
			return nil, ErrTampered.And("key", name)
		}
		seen[k.class] = true
		if k.erased {
			erased = append(erased, k.class)
			continue
		}
		plain, err := open(k.aead(), s.GetBox(), aad)
		if err != nil {
			return nil, err
		}
		if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(plain, m); err != nil {
			return nil, ErrTampered.And("key", name)
		}
	}
	return erased, nil
}
