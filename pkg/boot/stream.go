package boot

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/token"
)

// stream is the interceptor of streams: it authenticates once, admits the stream and each message, checks every message, and
// ends a stream on which nothing moves or whose token runs out.
func (g *guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	m := g.methods[info.FullMethod]
	began := g.now()
	ctx, span := g.trace(ss.Context(), m)
	defer func() {
		if p := recover(); p != nil {
			err = g.panicked(ctx, m, p)
		}
		if err != nil {
			err = g.failed(ctx, m, err)
		}
		g.done(m, span, began, err)
	}()
	if m.open {
		select {
		case err := <-g.run(func() error { return handler(srv, ss) }):
			return err
		case <-g.stopping:
			return errStopping
		}
	}
	claims, err := g.authenticate(ctx, began)
	if err != nil {
		return err
	}
	role := first(claims.Roles & m.roles)
	if role == 0 {
		return denied(m.Method)
	}
	if err := g.admit(m, claims.Subject, role, began); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	checked := &checked{ServerStream: ss, guard: g, method: m, claims: claims, start: time.Now()}
	checked.caller.Store(caller(ctx, claims, role))
	checked.ctx = calling{inner, &checked.caller, func(err error) error { return g.failed(ctx, m, err) }}
	return checked.watch(g.run(func() error { return checked.handle(srv, handler) }))
}

// run gives a handler a goroutine of its own: one that waits for a silent caller can only be freed by ending the
// stream, which is done by returning from the interceptor.
func (g *guard) run(handle func() error) <-chan error {
	ended := make(chan error, 1)
	g.handlers.Add(1)
	go func() {
		defer g.handlers.Done()
		ended <- handle()
	}()
	return ended
}

// checked is a stream whose messages are checked as they come in.
type checked struct {
	grpc.ServerStream
	ctx    context.Context
	guard  *guard
	method *guarded
	claims *token.Claims
	start  time.Time
	moved  atomic.Int64 // nanoseconds from start to the newest message, either way
	named  bool         // the first message named the owner; RecvMsg is one goroutine's
	// caller acts in the role in which the newest message may be sent.
	caller atomic.Pointer[Caller]
	// refused is what was wrong with a message: it stays so, also when the handler swallows it.
	refused atomic.Pointer[error]
}

func (c *checked) Context() context.Context { return c.ctx }

func (c *checked) handle(srv any, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.guard.panicked(c.ctx, c.method, p)
		}
	}()
	err = handler(srv, c)
	if refused := c.refused.Load(); refused != nil {
		return *refused
	}
	return err
}

// watch waits for the handler, at most until nothing has moved for the method's time or the token has expired. The
// timer is not reset by each message: when it fires it looks how long there has been silence. What only sends ends when
// the server stops, since its caller can go on from where it was; who sends to us may finish.
func (c *checked) watch(ended <-chan error) error {
	var stopping <-chan struct{}
	if !c.method.Desc.IsStreamingClient() {
		stopping = c.guard.stopping
	}
	timer := time.NewTimer(c.method.Deadline)
	defer timer.Stop()
	expiry := time.NewTimer(c.claims.Expiry.Sub(c.guard.now()))
	defer expiry.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-stopping:
			return errStopping
		case <-expiry.C:
			return errExpired
		case <-timer.C:
			silent := time.Since(c.start) - time.Duration(c.moved.Load())
			if silent >= c.method.Deadline {
				return idle(c.method.Method)
			}
			timer.Reset(c.method.Deadline - silent)
		}
	}
}

// calling is a stream's context: who calls acts in the role that each message gives.
type calling struct {
	context.Context
	caller *atomic.Pointer[Caller]
	failed func(error) error
}

func (c calling) Value(key any) any {
	switch key {
	case callerKey{}:
		return c.caller.Load()
	case failedKey{}:
		return c.failed
	}
	return c.Context.Value(key)
}

type failedKey struct{}

// Failed is the google.rpc.Code of what failed one element of a stream's message while the stream goes on. As with a call that
// fails, what nobody has classified is logged and is INTERNAL.
func Failed(ctx context.Context, err error) uint32 {
	if told, ok := ctx.Value(failedKey{}).(func(error) error); ok {
		return uint32(status.Code(told(err)))
	}
	return uint32(grpcfault.Status(grpcfault.Classify(err)).Code())
}

// RecvMsg receives a message and holds it against the contract. One that comes before its turn is held back, and the caller
// with it, who is soon not allowed to send more.
func (c *checked) RecvMsg(m any) error {
	if refused := c.refused.Load(); refused != nil {
		return *refused
	}
	err := c.ServerStream.RecvMsg(m)
	switch {
	case err == nil:
		c.moved.Store(int64(time.Since(c.start)))
		err = c.check(m.(proto.Message))
	case status.Code(err) == codes.ResourceExhausted:
		err = tooLarge(c.method.Method)
	default:
		return err // the end, or the caller has gone
	}
	if err != nil {
		c.refused.Store(&err)
	}
	return err
}

func (c *checked) check(msg proto.Message) error {
	if err := c.method.fits(msg); err != nil {
		return err
	}
	if !c.named || !c.method.continues(msg) {
		role, err := c.method.Authorise(c.claims, msg)
		if err != nil {
			return err
		}
		if was := c.caller.Load(); was.Role != role {
			c.caller.Store(caller(c.ServerStream.Context(), c.claims, role))
		}
		c.named = true
	}
	if err := c.guard.validator.Validate(msg); err != nil {
		return err
	}
	return c.hold(msg)
}

// hold waits for a message's turn, as if each of its elements had been a call. A caller whose turn is too far off, because it
// sends on many streams at once, is told when to come again.
func (c *checked) hold(msg proto.Message) error {
	delay, err := c.guard.reserve(
		c.method, c.claims.Subject, c.caller.Load().Role, c.method.weight(msg), min(patience, c.method.Deadline/2), c.guard.now(),
	)
	if err != nil || delay <= 0 {
		return err
	}
	turn := time.NewTimer(delay)
	defer turn.Stop()
	select {
	case <-turn.C:
		c.moved.Store(int64(time.Since(c.start)))
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// patience bounds how long a message is held back.
const patience = 5 * time.Second

// SendMsg sends a message.
func (c *checked) SendMsg(m any) error {
	err := c.ServerStream.SendMsg(m)
	if err == nil {
		c.moved.Store(int64(time.Since(c.start)))
	}
	return err
}
