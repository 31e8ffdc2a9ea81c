// Package bridge puts Connect and gRPC-Web in front of gRPC services, for any contract: it knows RPCs by their descriptors alone. Which
// RPCs, the access option decides: those that are open to a role that people in browsers have. Who calls, the session's token says, to
// the service, which decides as for every other caller.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/app/internal/reply"
	"github.com/obole-market/obole/services/app/internal/session"
)

// Roles are those of people in browsers. Feeds and services have tokens of their own and no business here.
var Roles = token.RolesOf(
	eventv1.Role_ROLE_SUBSCRIBER, eventv1.Role_ROLE_BUYER, eventv1.Role_ROLE_FINANCE, eventv1.Role_ROLE_OPERATOR, eventv1.Role_ROLE_AUDITOR,
)

// common is the service that every service of ours has: what its path says before it, says whose is meant.
const common = "obole.log.v1."

// Bridged says whether browsers may call an RPC: somebody among them may, and it takes one message.
func Bridged(m *boot.Method) bool {
	return m.Access != nil && token.RolesOf(m.Access.GetRoles()...)&Roles != 0 && !m.Desc.IsStreamingClient()
}

// Methods are the RPCs that are bridged, by the service that has them.
func Methods() (map[string][]*boot.Method, error) {
	all, err := boot.Methods(protoregistry.GlobalFiles, "obole.")
	if err != nil {
		return nil, err
	}
	by := map[string][]*boot.Method{}
	for _, m := range all {
		if Bridged(m) {
			service := ""
			if name := strings.TrimPrefix(m.Name, "/"); !strings.HasPrefix(name, common) {
				service = strings.Split(name, ".")[1]
			}
			by[service] = append(by[service], m)
		}
	}
	return by, nil
}

// Bridge is the connections to the services.
type Bridge struct {
	Conns map[string]grpc.ClientConnInterface // by service
	// Stopping ends when the process is about to: streams are told to come back.
	Stopping context.Context
}

// Handler serves /rpc/... and /rpc/at/<service>/...; Require of session stands before it.
func (b *Bridge) Handler() (http.Handler, error) {
	methods, err := Methods()
	if err != nil {
		return nil, err
	}
	for service := range methods {
		if service != "" && b.Conns[service] == nil {
			return nil, fmt.Errorf("bridge: the contract has a service %s, and nobody says where it is", service)
		}
	}
	mux, main := http.NewServeMux(), connect.NewServer()
	for service, conn := range b.Conns {
		if len(methods[service]) == 0 || len(methods[""]) == 0 {
			return nil, fmt.Errorf("bridge: the contract of %s, or the log's, is not linked", service)
		}
		main.Register(b.methods(service, conn, methods[service])...)
		own := connect.NewServer()
		own.Register(b.methods(service, conn, methods[""])...)
		prefix := "/rpc/at/" + service
		mux.Handle(prefix+"/", http.StripPrefix(prefix, mount(own)))
	}
	mux.Handle("/rpc/", http.StripPrefix("/rpc", mount(main)))
	return mux, nil
}

func mount(s *connect.Server) http.Handler {
	mux := http.NewServeMux()
	connecthttp.Mount(
		mux, s, connecthttp.WithCompressMinBytes(1024),
		connecthttp.WithConditionalOptions(func(spec connect.Spec) []connecthttp.Option {
			// The service holds the message to the contract's limit; JSON is larger than what it counts.
			if m, ok := spec.Schema.(*boot.Method); ok {
				return []connecthttp.Option{connecthttp.WithReadMaxBytes(4 * m.Bytes)}
			}
			return nil
		}),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), inContext{}, http.NewResponseController(w))))
	})
}

func (b *Bridge) methods(service string, conn grpc.ClientConnInterface, all []*boot.Method) []connect.Method {
	out := make([]connect.Method, 0, len(all))
	for _, m := range all {
		c := &call{Bridge: b, Method: m, service: service, conn: conn}
		spec := connect.Spec{Procedure: m.Name, Schema: m, IdempotencyLevel: level(m.Desc)}
		serve := c.unary
		if m.Desc.IsStreamingServer() {
			spec.StreamType, serve = connect.StreamTypeServer, c.stream
		}
		out = append(out, connect.Method{Spec: spec, Handler: serve})
	}
	return out
}

func level(m protoreflect.MethodDescriptor) connect.IdempotencyLevel {
	if o, ok := m.Options().(*descriptorpb.MethodOptions); ok {
		return connect.IdempotencyLevel(o.GetIdempotencyLevel()) // the same numbers
	}
	return connect.IdempotencyUnknown
}

// call is one RPC of one service.
type call struct {
	*Bridge
	*boot.Method

	service string
	conn    grpc.ClientConnInterface
}

func (c *call) unary(ctx context.Context, _ connect.Spec, from connect.ServerStream) error {
	req, err := receive(from, c.Desc.Input())
	if err != nil {
		return err
	}
	answer, err := message(c.Desc.Output())
	if err != nil {
		return err
	}
	var header, trailer metadata.MD
	err = c.conn.Invoke(As(ctx, session.Of(ctx)), c.Name, req, answer, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return Failed(c.service, err, header, trailer)
	}
	return from.Send(answer)
}

// slow is how long one message may take to reach the browser.
const slow = 30 * time.Second

func (c *call) stream(ctx context.Context, _ connect.Spec, from connect.ServerStream) error {
	own := session.Of(ctx)
	give, err := own.Stream()
	if err != nil {
		return reply.Error(err)
	}
	defer give()
	req, err := receive(from, c.Desc.Input())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(own.Context(), func() { cancel(errOver) })()
	defer context.AfterFunc(c.Stopping, func() { cancel(errStopping) })()
	to, err := c.conn.NewStream(As(ctx, own), &grpc.StreamDesc{ServerStreams: true}, c.Name)
	if err != nil {
		return Failed(c.service, err, nil, nil)
	}
	if err := errors.Join(to.SendMsg(req), to.CloseSend()); err != nil && !errors.Is(err, io.EOF) { // io.EOF: RecvMsg says why
		return Failed(c.service, err, nil, nil)
	}
	at, _ := ctx.Value(inContext{}).(*http.ResponseController)
	unlimited(at)
	if err := timely(at, from.SendHeaders); err != nil { // the page learns that it is connected before anything happens
		return err
	}
	for {
		answer, err := message(c.Desc.Output())
		if err != nil {
			return err
		}
		switch err := to.RecvMsg(answer); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return reply.Error(context.Cause(ctx))
		case err != nil:
			header, _ := to.Header() // it fails as the stream has
			return Failed(c.service, err, header, to.Trailer())
		}
		if err := timely(at, func() error { return from.Send(answer) }); err != nil {
			return err
		}
	}
}

var (
	errOver     = fault.Unauthenticated("the session is over: sign in again").Named(boot.ReasonTokenExpired)
	errStopping = fault.Unavailable("the server is stopping; connect again").Named(boot.ReasonStopping)
)

type inContext struct{}

// unlimited lifts the limits of time that are for answers, not for streams.
func unlimited(at *http.ResponseController) {
	if at != nil {
		_ = at.SetWriteDeadline(time.Time{}) // a writer without deadlines has none to lift
		_ = at.SetReadDeadline(time.Time{})
	}
}

// timely cuts off a browser that does not take what it is sent.
func timely(at *http.ResponseController, send func() error) error {
	if at == nil {
		return send()
	}
	watch := time.AfterFunc(slow, func() { _ = at.SetWriteDeadline(time.Unix(1, 0)) })
	defer watch.Stop()
	return send()
}

// As makes a call with the session's token.
func As(ctx context.Context, s *session.Session) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.Pairs("authorization", "Bearer "+s.Token))
}

// Failed passes on what a service says. What the library says of a connection names addresses: that is not for the page. An answer of
// the service has a header or a trailer.
func Failed(service string, err error, header, trailer metadata.MD) error {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) && s.GRPCStatus().Code() == codes.Unavailable && len(header) == 0 && len(trailer) == 0 {
		err = fault.Unavailable(service + " cannot be reached").After(time.Second)
	}
	return reply.Error(err)
}

func receive(from connect.ServerStream, d protoreflect.MessageDescriptor) (proto.Message, error) {
	m, err := message(d)
	if err != nil {
		return nil, err
	}
	return m, from.Receive(m)
}

// message makes one of the linked contract's own type, which is faster than one by descriptor.
func message(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, reply.Error(fault.Internal("the contract has no type " + string(d.FullName())))
	}
	return t.New().Interface(), nil
}
