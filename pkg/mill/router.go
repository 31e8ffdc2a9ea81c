package mill

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/fault"
)

// Names of an event's metadata: CloudEvents' own.
const (
	metaType   = "ce_type"
	metaStream = "ce_subject"
)

// Router lets Watermill's router handle events. Which of them may be at work is the business of the reaction that a package
// bus feed serves; here each is a message that goes through the middleware to its handler, and its acknowledgement is what
// the reaction waits for. Nothing is published: handlers call their engines.
type Router struct {
	// Workers is how many events of one handler are at work at a time (64); those that wait for another try are not.
	Workers int
	// Panicked is told of a handler that panicked; nil tells nobody.
	Panicked func(handler string, p fault.Panic)
	// Retried counts tries that failed for now.
	Retried func(handler string, err error)

	router *message.Router
	over   chan struct{} // Run has ended
}

// Waits between tries of one event, each a random value about it, growing from the first to the last.
const (
	retryFirst = 10 * time.Millisecond
	retryMost  = 5 * time.Second
)

// NewRouter makes one whose handlers stand behind this middleware, the first outermost; each try passes it.
func NewRouter(each ...message.HandlerMiddleware) (*Router, error) {
	// Errors of handlers may quote what must not be logged, so Watermill logs nothing; the hooks tell.
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	r := &Router{Workers: 64, router: router, over: make(chan struct{})}
	router.AddMiddleware(outcome, r.retry)
	router.AddMiddleware(each...)
	router.AddMiddleware(r.recover)
	return r, nil
}

// Event is what a message of this router stands for; middleware may ask.
func Event(m *message.Message) *bus.Received { return parcelOf(m).event }

// Handler adds a handler before Run, and gives what has it handle an event: for bus.Reaction's Handle.
func (r *Router) Handler(name string, handle func(context.Context, *bus.Received) error) func(context.Context, *bus.Received) error {
	s := source(make(chan *message.Message))
	places := make(chan struct{}, r.Workers)
	r.router.AddConsumerHandler(name, name, s, func(m *message.Message) error {
		return handle(m.Context(), Event(m))
	}).AddMiddleware(func(next message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) ([]*message.Message, error) {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				return next(m)
			case <-m.Context().Done():
				return nil, m.Context().Err()
			}
		}
	})
	return func(ctx context.Context, e *bus.Received) error { return r.hand(ctx, s, e) }
}

// Run routes until ctx ends, once. End it after the feeds whose events it has: it waits for what is at work.
func (r *Router) Run(ctx context.Context) error {
	defer close(r.over)
	if len(r.router.Handlers()) == 0 { // Watermill's would not end
		<-ctx.Done()
		return ctx.Err()
	}
	if err := r.router.Run(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// parcel is an event on its way through the router, with what came of it.
type parcel struct {
	event *bus.Received
	held  atomic.Bool // by a handler, or by a caller that has given up
	err   error
}

type parcelKey struct{}

func parcelOf(m *message.Message) *parcel {
	p, _ := m.Context().Value(parcelKey{}).(*parcel)
	return p
}

var errOver = fault.Unavailable("the router has ended")

// hand gives an event to the router and waits for what comes of it.
func (r *Router) hand(ctx context.Context, s source, e *bus.Received) error {
	p := &parcel{event: e}
	m := message.NewMessageWithContext(context.WithValue(ctx, parcelKey{}, p), e.ID.String(), e.Data)
	m.Metadata.Set(metaType, e.Type)
	m.Metadata.Set(metaStream, string(e.Stream))
	select {
	case s <- m:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.over:
		return errOver
	}
	select {
	case <-m.Acked():
		return nil
	case <-m.Nacked():
		return p.err
	case <-ctx.Done():
	case <-r.over:
	}
	if p.held.CompareAndSwap(false, true) { // it will not be handled
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errOver
	}
	select { // it is being handled: its context has ended or will
	case <-m.Acked():
		return nil
	case <-m.Nacked():
		return p.err
	}
}

// outcome keeps an error for whoever waits for the acknowledgement.
func outcome(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		p := parcelOf(m)
		if !p.held.CompareAndSwap(false, true) {
			return nil, nil
		}
		_, p.err = next(m)
		return nil, p.err
	}
}

// retry tries what may pass until it does.
func (r *Router) retry(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		return middleware.Retry{
			MaxRetries: math.MaxInt - 1, InitialInterval: retryFirst, MaxInterval: retryMost, Multiplier: 1.5, RandomizationFactor: 0.5,
			ResetContextOnRetry: true,
			ShouldRetry: func(p middleware.RetryParams) bool {
				if !bus.Passes(p.Err) || m.Context().Err() != nil {
					return false
				}
				bus.Retrying(m.Context())
				if r.Retried != nil {
					r.Retried(message.HandlerNameFromCtx(m.Context()), p.Err)
				}
				return true
			},
		}.Middleware(next)(m)
	}
}

// errPanic: a handler panicked. Watermill's own error for it would hold the value, which may be personal.
var errPanic = fault.Internal("the reaction panicked")

func (r *Router) recover(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) (_ []*message.Message, err error) {
		defer func() {
			if v := recover(); v != nil {
				if err = errPanic; r.Panicked != nil {
					r.Panicked(message.HandlerNameFromCtx(m.Context()), fault.PanicOf(v))
				}
			}
		}()
		return next(m)
	}
}

// source is a subscriber of what is handed to it.
type source chan *message.Message

// Subscribe implements message.Subscriber.
func (s source) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		for {
			select {
			case m := <-s:
				select {
				case out <- m:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Close implements message.Subscriber; a subscription ends with its context.
func (source) Close() error { return nil }
