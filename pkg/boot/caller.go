package boot

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Caller is who makes a call, as its token says.
type Caller struct {
	token.Claims
	// Role in which the call is made: one that the RPC is open to.
	Role eventv1.Role
	// For is for whom a service of ours makes the call, nil where it acts by itself.
	For *eventv1.Actor
}

// Actor is the caller as events name it.
func (c Caller) Actor() *eventv1.Actor { return &eventv1.Actor{Role: c.Role, Id: c.Subject} }

type callerKey struct{}

// CallerFrom is who makes the call that ctx belongs to. Behind Server there is always one; elsewhere it may be the zero Caller.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	if c == nil {
		return Caller{}
	}
	return *c
}

// WithCaller sets who makes a call: for reactions, which act for whoever caused the event, and for tests.
func WithCaller(ctx context.Context, c Caller) context.Context { return c.in(ctx) }

func (c *Caller) in(ctx context.Context) context.Context { return called{ctx, c} }

// called is context.WithValue for the one key, found without comparing interfaces on the way.
type called struct {
	context.Context
	caller *Caller
}

func (c called) Value(key any) any {
	if key == (callerKey{}) {
		return c.caller
	}
	return c.Context.Value(key)
}

// forHeader tells another service of ours for whom we call: "<role number>/<id>". From anybody else it is ignored.
const forHeader = "obole-for"

// principal is for whom a call that c causes is made.
func (c Caller) principal() string {
	a := c.For
	if a == nil {
		if c.Subject == "" {
			return ""
		}
		a = c.Actor()
	}
	return strconv.Itoa(int(a.GetRole())) + "/" + a.GetId()
}

// onBehalf reads forHeader of a call; nil where it is missing or malformed.
func onBehalf(ctx context.Context) *eventv1.Actor {
	v := metadata.ValueFromIncomingContext(ctx, forHeader)
	if len(v) != 1 {
		return nil
	}
	number, subject, ok := strings.Cut(v[0], "/")
	role, err := strconv.Atoi(number)
	if !ok || err != nil || subject == "" || len(subject) > 64 || eventv1.Role_name[int32(role)] == "" || role == 0 {
		return nil
	}
	return &eventv1.Actor{Role: eventv1.Role(role), Id: subject}
}
