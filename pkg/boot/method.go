package boot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// What an access option leaves open.
const (
	defaultDeadline = 10 * time.Second
	defaultBytes    = 1 << 20
)

// self are the roles that reach their own data only.
var self = token.RolesOf(eventv1.Role_ROLE_SUBSCRIBER, eventv1.Role_ROLE_BUYER)

// Method is one RPC with what the contract says about who may call it, worked out once.
type Method struct {
	// Name is the full name as on the wire: /obole.offers.v1.OffersService/PlaceBid.
	Name string
	Desc protoreflect.MethodDescriptor
	// Access is the RPC's option, nil where it has none: then nobody may call it.
	Access *eventv1.Access
	// Deadline of the call, of a stream its idle time.
	Deadline time.Duration
	// Bytes bounds a request message.
	Bytes int

	roles token.Roles
	owner []protoreflect.FieldDescriptor
	// lists are the fields of a stream's messages that hold what could have been asked for one by one.
	lists []protoreflect.FieldDescriptor
}

// Access reads an RPC's option, nil where it has none.
func Access(m protoreflect.MethodDescriptor) *eventv1.Access {
	if !proto.HasExtension(m.Options(), eventv1.E_Access) {
		return nil
	}
	return proto.GetExtension(m.Options(), eventv1.E_Access).(*eventv1.Access)
}

// Files is what protoregistry.Files offers.
type Files interface {
	RangeFiles(visit func(protoreflect.FileDescriptor) bool)
}

// Methods lists every RPC of the packages that begin with prefix ("obole."), by name. protoregistry.GlobalFiles knows
// those of all contracts that a program links.
func Methods(files Files, prefix string) ([]*Method, error) {
	var list []*Method
	var err error
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), prefix) {
			return true
		}
		for s := range f.Services().Len() {
			methods := f.Services().Get(s).Methods()
			for n := range methods.Len() {
				var m *Method
				if m, err = MethodOf(methods.Get(n)); err != nil {
					return false
				}
				list = append(list, m)
			}
		}
		return true
	})
	slices.SortFunc(list, func(a, b *Method) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

// MethodOf works out an RPC's option. An owner that is no field of the request, or none that holds one id, is an error:
// it is found when a service starts, not when somebody calls.
func MethodOf(desc protoreflect.MethodDescriptor) (*Method, error) {
	m := &Method{
		Name: "/" + string(desc.Parent().FullName()) + "/" + string(desc.Name()), Desc: desc, Access: Access(desc),
		Deadline: defaultDeadline, Bytes: defaultBytes,
	}
	if m.Access == nil {
		return m, nil
	}
	m.roles = token.RolesOf(m.Access.GetRoles()...)
	if ms := m.Access.GetDeadlineMs(); ms > 0 {
		m.Deadline = time.Duration(ms) * time.Millisecond
	}
	if n := m.Access.GetMaxBytes(); n > 0 {
		m.Bytes = int(n)
	}
	for i := range desc.Input().Fields().Len() {
		if f := desc.Input().Fields().Get(i); f.IsList() && desc.IsStreamingClient() {
			m.lists = append(m.lists, f)
		}
	}
	var err error
	m.owner, err = path(desc.Input(), m.Access.GetOwner())
	if err != nil {
		return nil, fmt.Errorf("boot: access option of %s: %w", m.Name, err)
	}
	return m, nil
}

// path resolves "bid.buyer_id" to the fields to go through.
func path(msg protoreflect.MessageDescriptor, owner string) ([]protoreflect.FieldDescriptor, error) {
	if owner == "" {
		return nil, nil
	}
	var fields []protoreflect.FieldDescriptor
	for part := range strings.SplitSeq(owner, ".") {
		if msg == nil {
			return nil, fmt.Errorf("owner %q goes on after a field that is no message", owner)
		}
		f := msg.Fields().ByName(protoreflect.Name(part))
		switch {
		case f == nil:
			return nil, fmt.Errorf("owner %q: %s has no field %q", owner, msg.FullName(), part)
		case f.Cardinality() == protoreflect.Repeated:
			return nil, fmt.Errorf("owner %q: %q is repeated, and one call has one owner", owner, part)
		}
		fields = append(fields, f)
		msg = f.Message()
	}
	if k := fields[len(fields)-1].Kind(); k != protoreflect.StringKind && k != protoreflect.BytesKind {
		return nil, fmt.Errorf("owner %q is neither text nor bytes", owner)
	}
	return fields, nil
}

// Authorise says in which role a bearer with these claims makes the call, or refuses: without one of the RPC's roles,
// and, in the role of subscriber or buyer alone, for anybody but itself.
func (m *Method) Authorise(c *token.Claims, req proto.Message) (eventv1.Role, error) {
	held := c.Roles & m.roles
	if held == 0 {
		return 0, denied(m)
	}
	wide := held &^ self
	if m.owner == nil {
		return first(held), nil
	}
	if m.names(req, c.Subject) {
		if own := held & self; own != 0 {
			return first(own), nil
		}
	} else if wide == 0 {
		return 0, notOwner(m)
	}
	return first(wide), nil
}

// names says whether the request names the subject as its owner. A bytes field holds the 16 bytes of an id.
func (m *Method) names(req proto.Message, subject string) bool {
	msg := req.ProtoReflect()
	last := len(m.owner) - 1
	for _, f := range m.owner[:last] {
		msg = msg.Get(f).Message()
	}
	v := msg.Get(m.owner[last])
	if m.owner[last].Kind() == protoreflect.StringKind {
		return v.String() == subject
	}
	own, err := id.Parse(subject)
	return err == nil && string(v.Bytes()) == string(own[:])
}

// continues says whether a message of a stream is a further part of what an earlier one has named: its owner would stand in a
// part of it that is not there.
func (m *Method) continues(msg proto.Message) bool {
	return len(m.owner) > 1 && !msg.ProtoReflect().Has(m.owner[0])
}

// weight is how many calls a message of a stream stands for: as many as its longest list has elements, and one at least.
func (m *Method) weight(msg proto.Message) int {
	n := 1
	for _, f := range m.lists {
		n = max(n, msg.ProtoReflect().Get(f).List().Len())
	}
	return n
}

// first is the lowest role of a set; a set of one is the usual case.
func first(s token.Roles) eventv1.Role {
	for r := eventv1.Role(1); r < 32; r++ {
		if s.Has(r) {
			return r
		}
	}
	return eventv1.Role_ROLE_UNSPECIFIED
}

// repeatable says whether a call may be sent again when the first has gone unanswered: the contract marks such RPCs
// with idempotency_level.
func (m *Method) repeatable() bool {
	o, ok := m.Desc.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
