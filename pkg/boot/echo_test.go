package boot_test

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/issuer"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

const (
	subscriber = eventv1.Role_ROLE_SUBSCRIBER
	buyer      = eventv1.Role_ROLE_BUYER
	operator   = eventv1.Role_ROLE_OPERATOR
	service    = eventv1.Role_ROLE_SERVICE

	ada   = "5b0c7a52-2f0f-4c8e-9d0c-0f0a3f5f7a11"
	bob   = "0d3f9c1e-7a64-4d0f-8a53-0b8f3c4c1f22"
	press = "9a1f8d6e-3d0b-4d53-8c1f-6c7b2a9e4d33"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The contract under test is a service over messages that exist: an Actor in, an Actor out, the id naming the owner.
var contract = []struct {
	name    string
	in      string
	streams bool // answers with a stream
	both    bool // is asked with a stream, too
	repeats bool // may be sent again
	access  *eventv1.Access
}{
	{name: "Say", in: "Actor", repeats: true, access: &eventv1.Access{Roles: []eventv1.Role{subscriber, buyer, operator, service}, Owner: "id"}},
	{name: "Nested", in: "Meta", access: &eventv1.Access{Roles: []eventv1.Role{subscriber}, Owner: "on_behalf_of.id"}},
	{name: "Raw", in: "Meta", access: &eventv1.Access{Roles: []eventv1.Role{subscriber}, Owner: "causation_id"}},
	{name: "Mine", in: "Actor", access: &eventv1.Access{Roles: []eventv1.Role{subscriber, operator}}},
	{name: "Hidden", in: "Actor"},
	{name: "Nobody", in: "Actor", access: &eventv1.Access{}},
	{name: "Brief", in: "Actor", access: &eventv1.Access{Roles: []eventv1.Role{operator}, DeadlineMs: 50}},
	{name: "Small", in: "Meta", access: &eventv1.Access{Roles: []eventv1.Role{operator}, MaxBytes: 64}},
	{name: "Rare", in: "Actor", access: &eventv1.Access{Roles: []eventv1.Role{operator, service}, Rate: 1}},
	{name: "Chat", in: "Actor", streams: true, both: true, access: &eventv1.Access{Roles: []eventv1.Role{subscriber, operator}, Owner: "id", DeadlineMs: 60_000, MaxBytes: 128}},
	{name: "Quiet", in: "Actor", streams: true, both: true, access: &eventv1.Access{Roles: []eventv1.Role{subscriber}, DeadlineMs: 50}},
	{name: "Bulk", in: "Access", streams: true, both: true, access: &eventv1.Access{Roles: []eventv1.Role{operator, service}, DeadlineMs: 60_000, Rate: 10}},
	{name: "Watch", in: "Actor", streams: true, access: &eventv1.Access{Roles: []eventv1.Role{subscriber}, Owner: "id", DeadlineMs: 60_000}},
}

// echoFile describes the contract in a package of its own; methods whose change is not nil are changed first.
func echoFile(pkg string, change func(*descriptorpb.MethodDescriptorProto, *eventv1.Access)) *descriptorpb.FileDescriptorProto {
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String(pkg + ".proto"), Package: proto.String(pkg), Syntax: proto.String("proto3"),
		Dependency: []string{"obole/event/v1/event.proto"},
		Service:    []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("EchoService")}},
	}
	for _, c := range contract {
		m := &descriptorpb.MethodDescriptorProto{
			Name: proto.String(c.name), InputType: proto.String(".obole.event.v1." + c.in), OutputType: proto.String(".obole.event.v1." + c.in),
			ClientStreaming: proto.Bool(c.both), ServerStreaming: proto.Bool(c.streams), Options: &descriptorpb.MethodOptions{},
		}
		if c.repeats {
			m.Options.IdempotencyLevel = descriptorpb.MethodOptions_IDEMPOTENT.Enum()
		}
		access := proto.CloneOf(c.access)
		if change != nil {
			change(m, access)
		}
		if access != nil {
			proto.SetExtension(m.Options, eventv1.E_Access, access)
		}
		file.Service[0].Method = append(file.Service[0].Method, m)
	}
	return file
}

const echoName = "obole.echo.v1.EchoService"

var register = sync.OnceFunc(func() {
	f, err := protodesc.NewFile(echoFile("obole.echo.v1", nil), protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(f); err != nil {
		panic(err)
	}
})

// methodOf is one RPC of the contract.
func methodOf(t testing.TB, name string) protoreflect.MethodDescriptor {
	t.Helper()
	register()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(echoName + "." + name))
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MethodDescriptor)
}

// echo answers what it is asked, unless a test says otherwise.
type echo struct {
	unary  func(ctx context.Context, req proto.Message) (proto.Message, error)
	stream func(grpc.ServerStream) error
}

func echoDesc() *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: echoName, HandlerType: (*any)(nil)}
	for _, c := range contract {
		if c.streams {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{
				StreamName: c.name, ServerStreams: true, ClientStreams: c.both,
				Handler: func(srv any, ss grpc.ServerStream) error { return srv.(*echo).stream(ss) },
			})
			continue
		}
		name := "/" + echoName + "/" + c.name
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: c.name, Handler: func(srv any, ctx context.Context, dec func(any) error, guard grpc.UnaryServerInterceptor) (any, error) {
			req := message(c.in)
			if err := dec(req); err != nil {
				return nil, err
			}
			answer := func(ctx context.Context, req any) (any, error) {
				if f := srv.(*echo).unary; f != nil {
					return f(ctx, req.(proto.Message))
				}
				return req, nil
			}
			if guard == nil {
				return answer(ctx, req)
			}
			return guard(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: name}, answer)
		}})
	}
	return desc
}

func message(name string) proto.Message {
	if name == "Meta" {
		return &eventv1.Meta{}
	}
	return &eventv1.Actor{}
}

// world is a service with its issuer, as a main would put it together.
type world struct {
	t      testing.TB
	cfg    *boot.Config
	tel    *boot.Telemetry
	health *boot.Health
	issuer *issuer.Issuer
	srv    *boot.Server
	echo   *echo
	log    *bytes.Buffer // to be read once the service has stopped, or under logged
	mu     sync.Mutex
	ahead  atomic.Int64
	stop   func()
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// start runs a service; change may alter its configuration before, and its handlers.
func start(t testing.TB, change func(*boot.Config, *echo)) *world {
	t.Helper()
	register()
	w := &world{t: t, echo: &echo{}, log: &bytes.Buffer{}}
	w.echo.stream = repeat
	folder := t.TempDir()
	var err error
	w.issuer, err = issuer.Open(issuer.Config{
		Folder: folder, Now: w.now,
		Clients: []issuer.Client{{ID: "offers", Roles: []eventv1.Role{service}}},
	})
	must(t, err)
	w.cfg = &boot.Config{
		Service: "offers",
		Auth:    boot.Auth{Issuer: w.issuer.URL(), SecretFile: filepath.Join(folder, "offers.secret")},
		Limits:  boot.Limits{Drain: 5 * time.Second},
		Seams:   boot.Seams{Log: w, Now: w.now},
	}
	if change != nil {
		change(w.cfg, w.echo)
	}
	w.tel, err = boot.Observe(w.cfg)
	must(t, err)
	w.health = boot.NewHealth(w.cfg.Service, "tails")
	w.srv, err = boot.NewServer(w.cfg, w.tel, w.health)
	must(t, err)
	w.cfg.Peers = map[string]string{"offers": w.srv.Addr()}
	w.srv.RegisterService(echoDesc(), w.echo)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var g boot.Group
	g.Add("issuer", w.issuer.Serve)
	g.Add("grpc", w.srv.Serve)
	go func() { ended <- g.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		check(t, <-ended)
		check(t, w.tel.Close(context.Background()))
	})
	t.Cleanup(w.stop)
	return w
}

// repeat answers each message with itself until the caller has done.
func repeat(ss grpc.ServerStream) error {
	for {
		m := &eventv1.Actor{}
		if err := ss.RecvMsg(m); err != nil {
			return ignoreEOF(err)
		}
		if err := ss.SendMsg(m); err != nil {
			return err
		}
	}
}

// as is a connection of somebody with these roles.
func (w *world) as(subject string, roles ...eventv1.Role) *grpc.ClientConn {
	w.t.Helper()
	raw, err := w.issuer.Mint(subject, roles...)
	must(w.t, err)
	return w.with(raw)
}

// with is a connection with a token, none where it is empty.
func (w *world) with(raw string) *grpc.ClientConn {
	w.t.Helper()
	var source oauth2.TokenSource
	if raw != "" {
		source = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: raw})
	}
	conn, err := boot.Dial(&boot.Config{Service: "test"}, w.tel, w.srv.Addr(), source)
	must(w.t, err)
	w.t.Cleanup(func() { check(w.t, conn.Close()) })
	return conn
}

func say(t testing.TB, conn *grpc.ClientConn, method, id string) error {
	t.Helper()
	return conn.Invoke(t.Context(), "/"+echoName+"/"+method, &eventv1.Actor{Id: id}, &eventv1.Actor{})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check is must for where a test cannot be ended.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
