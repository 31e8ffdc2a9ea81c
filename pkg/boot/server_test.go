package boot_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// refusal is what a caller can act on.
func refusal(err error) (codes.Code, string) {
	st := status.Convert(err)
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return st.Code(), info.GetReason()
		}
	}
	return st.Code(), ""
}

func wantRefusal(t *testing.T, what string, err error, code codes.Code, reason string) {
	t.Helper()
	if gotCode, got := refusal(err); gotCode != code || got != reason {
		t.Errorf("%s: %v %q (%v), want %v %q", what, gotCode, got, err, code, reason)
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func TestWhoHasNoGoodTokenIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	good, err := w.issuer.Mint(ada, subscriber)
	must(t, err)
	wantRefusal(t, "none", say(t, w.with(""), "Say", ada), codes.Unauthenticated, boot.ReasonTokenMissing)
	wantRefusal(t, "forged", say(t, w.with(good[:len(good)-4]+"AAAA"), "Say", ada), codes.Unauthenticated, boot.ReasonTokenInvalid)
	wantRefusal(t, "no JWT", say(t, w.with("letmein"), "Say", ada), codes.Unauthenticated, boot.ReasonTokenInvalid)
	if err := say(t, w.with(good), "Say", ada); err != nil {
		t.Errorf("good: %v", err)
	}
	two := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+good)
	err = w.with(good).Invoke(two, "/"+echoName+"/Say", &eventv1.Actor{Id: ada}, &eventv1.Actor{})
	wantRefusal(t, "two tokens", err, codes.Unauthenticated, boot.ReasonTokenMissing)
	basic := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Basic "+good)
	err = w.with("").Invoke(basic, "/"+echoName+"/Say", &eventv1.Actor{Id: ada}, &eventv1.Actor{})
	wantRefusal(t, "another scheme", err, codes.Unauthenticated, boot.ReasonTokenMissing)
	w.ahead.Store(int64(2 * time.Hour))
	wantRefusal(t, "expired", say(t, w.with(good), "Say", ada), codes.Unauthenticated, boot.ReasonTokenExpired)
}

func TestTokenForAnotherAudienceIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *boot.Config, _ *echo) { c.Auth.Audience = "another" })
	wantRefusal(t, "audience", say(t, w.as(ada, subscriber), "Say", ada), codes.Unauthenticated, boot.ReasonTokenInvalid)
}

func TestIssuerOutOfReachIsUnavailable(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *boot.Config, _ *echo) { c.Auth.Issuer = "http://127.0.0.1:1" })
	wantRefusal(t, "no issuer", say(t, w.as(ada, subscriber), "Say", ada), codes.Unavailable, boot.ReasonIssuerUnreachable)
}

// Whoever keeps presenting bad tokens is stopped before each costs a verification; those known are not.
func TestFloodOfBadTokensIsStopped(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	known := w.as(ada, subscriber)
	must(t, say(t, known, "Say", ada))
	stranger := w.with("letmein")
	for n := range 200 {
		if code, _ := refusal(say(t, stranger, "Say", ada)); code == codes.ResourceExhausted {
			must(t, say(t, known, "Say", ada))
			return
		} else if n == 199 {
			t.Error("200 bad tokens, none too many")
		}
	}
}

// The whole matrix: every RPC, every role, the owner and somebody else; over the wire and by Authorise alone.
func TestMatrix(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *boot.Config, _ *echo) { c.Limits.Rate = -1 })
	type key struct {
		method string
		role   eventv1.Role
		own    bool
	}
	allowed := map[key]bool{}
	for _, m := range []string{"Say", "Mine", "Nested", "Raw"} {
		allowed[key{m, subscriber, true}] = true
	}
	allowed[key{"Mine", subscriber, false}] = true // names no owner: it acts on the caller
	allowed[key{"Say", buyer, true}] = true
	for _, own := range []bool{true, false} {
		for _, m := range []string{"Say", "Mine", "Brief", "Small", "Rare"} {
			allowed[key{m, operator, own}] = true
		}
		for _, m := range []string{"Say", "Rare"} {
			allowed[key{m, service, own}] = true
		}
	}
	for role := range eventv1.Role_name {
		role := eventv1.Role(role)
		conn := w.as(ada, role)
		for _, c := range contract {
			if c.streams {
				continue
			}
			for _, own := range []bool{true, false} {
				owner := bob
				if own {
					owner = ada
				}
				who, err := id.Parse(owner)
				must(t, err)
				var req proto.Message = &eventv1.Actor{Id: owner}
				if c.in == "Meta" {
					req = &eventv1.Meta{EventId: who[:], CausationId: who[:], OnBehalfOf: &eventv1.Actor{Id: owner}}
					if c.name == "Small" {
						req = &eventv1.Meta{EventId: who[:]}
					}
				}
				ask := key{c.name, role, own}
				err = conn.Invoke(t.Context(), "/"+echoName+"/"+c.name, req, message(c.in))
				code := status.Code(err)
				for c.name == "Brief" && code == codes.DeadlineExceeded {
					// On a busy machine its time is short, to be let in as to be sent away.
					if allowed[ask] {
						code = codes.OK
						break
					}
					err = conn.Invoke(t.Context(), "/"+echoName+"/"+c.name, req, message(c.in))
					code = status.Code(err)
				}
				if (code == codes.OK) != allowed[ask] || code != codes.OK && code != codes.PermissionDenied {
					t.Errorf("%+v: %v", ask, err)
				}
				m, err := boot.MethodOf(methodOf(t, c.name))
				must(t, err)
				_, err = m.Authorise(&token.Claims{Subject: ada, Roles: token.RolesOf(role)}, req)
				if (err == nil) != allowed[ask] {
					t.Errorf("Authorise %+v: %v", ask, err)
				}
			}
		}
	}
}

func TestRefusalSaysWhy(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	wantRefusal(t, "no option", say(t, w.as(ada, operator), "Hidden", ada), codes.PermissionDenied, boot.ReasonRoleDenied)
	wantRefusal(t, "other role", say(t, w.as(ada, buyer), "Mine", ada), codes.PermissionDenied, boot.ReasonRoleDenied)
	wantRefusal(t, "other owner", say(t, w.as(ada, subscriber), "Say", bob), codes.PermissionDenied, boot.ReasonNotOwner)
	wantRefusal(t, "no owner", say(t, w.as(ada, subscriber), "Say", ""), codes.PermissionDenied, boot.ReasonNotOwner)
	if code := status.Code(say(t, w.as(ada, operator), "Nowhere", ada)); code != codes.Unimplemented {
		t.Errorf("unknown method: %v", code)
	}
}

// The role in which a caller acts is the narrow one for its own data, the wide one for others'.
func TestRoleActedIn(t *testing.T) {
	t.Parallel()
	got := make(chan boot.Caller, 1)
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(ctx context.Context, req proto.Message) (proto.Message, error) {
			got <- boot.CallerFrom(ctx)
			return req, nil
		}
	})
	both := w.as(ada, subscriber, operator)
	for owner, want := range map[string]eventv1.Role{ada: subscriber, bob: operator} {
		must(t, say(t, both, "Say", owner))
		if c := <-got; c.Role != want || c.Subject != ada || c.For != nil || time.Until(c.Expiry) < time.Minute || c.Actor().GetRole() != want {
			t.Errorf("owner %s: %+v", owner, c)
		}
	}
}

func TestServiceTellsForWhomItCalls(t *testing.T) {
	t.Parallel()
	got := make(chan boot.Caller, 1)
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(ctx context.Context, req proto.Message) (proto.Message, error) {
			got <- boot.CallerFrom(ctx)
			return req, nil
		}
	})
	peers, err := boot.NewPeers(w.cfg, w.tel)
	must(t, err)
	conn, err := peers.Dial("offers")
	must(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	ask := func(ctx context.Context) boot.Caller {
		t.Helper()
		must(t, conn.Invoke(ctx, "/"+echoName+"/Say", &eventv1.Actor{Id: ada}, &eventv1.Actor{}))
		return <-got
	}
	person := boot.Caller{Claims: token.Claims{Subject: ada}, Role: subscriber}
	if c := ask(t.Context()); c.Subject != "offers" || c.Role != service || c.For != nil {
		t.Errorf("by itself: %+v", c)
	}
	if c := ask(boot.WithCaller(t.Context(), person)); c.Subject != "offers" || !proto.Equal(c.For, &eventv1.Actor{Role: subscriber, Id: ada}) {
		t.Errorf("for a person: %+v", c)
	}
	through := boot.Caller{Claims: token.Claims{Subject: "delivery"}, Role: service, For: person.Actor()}
	if c := ask(boot.WithCaller(t.Context(), through)); !proto.Equal(c.For, person.Actor()) {
		t.Errorf("through two services: %+v", c)
	}
	// A person cannot claim to call for another.
	must(t, w.as(bob, subscriber).Invoke(boot.WithCaller(t.Context(), person), "/"+echoName+"/Say", &eventv1.Actor{Id: bob}, &eventv1.Actor{}))
	if c := <-got; c.For != nil || c.Subject != bob {
		t.Errorf("a person for another: %+v", c)
	}
	if _, err := peers.Dial("nobody"); err == nil {
		t.Error("a peer without an address was dialled")
	}
}

func TestPanicFailsItsCallAlone(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(_ context.Context, req proto.Message) (proto.Message, error) {
			if req.(*eventv1.Actor).GetId() == bob {
				panic("index out of luck")
			}
			return req, nil
		}
		e.stream = func(grpc.ServerStream) error { panic("stream out of luck") }
	})
	conn := w.as(ada, operator)
	err := say(t, conn, "Say", bob)
	if st := status.Convert(err); st.Code() != codes.Internal || strings.Contains(st.Message(), "luck") {
		t.Errorf("panic: %v", err)
	}
	must(t, say(t, conn, "Say", ada))
	ss := chat(t, conn, "Chat")
	if err := ss.RecvMsg(&eventv1.Actor{}); status.Code(err) != codes.Internal {
		t.Errorf("panic in a stream: %v", err)
	}
	w.stop()
	// Where it was and of what type, but not what: the value may be somebody's data.
	if n := strings.Count(w.logged(), `"panic":"string\n`); n != 2 || strings.Count(w.logged(), "boot_test.TestPanicFailsItsCallAlone.func1.1 server_test.go:") != 1 {
		t.Errorf("%d panics were logged:\n%s", n, w.logged())
	}
	if strings.Contains(w.logged(), "luck") {
		t.Errorf("a panic's value was logged:\n%s", w.logged())
	}
}

func TestUnclassifiedErrorsTellTheCallerNothing(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(_ context.Context, req proto.Message) (proto.Message, error) {
			if req.(*eventv1.Actor).GetId() == bob {
				return nil, fault.NotFound("NO_SUCH_ECHO", "nobody there")
			}
			return nil, errors.New("duplicate key value violates unique constraint")
		}
	})
	conn := w.as(ada, operator)
	if err := say(t, conn, "Say", ada); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "constraint") {
		t.Errorf("a driver's error: %v", err)
	}
	wantRefusal(t, "classified", say(t, conn, "Say", bob), codes.NotFound, "NO_SUCH_ECHO")
	w.stop()
	if n := strings.Count(w.logged(), `"msg":"unclassified error"`); n != 1 || strings.Contains(w.logged(), "NO_SUCH_ECHO") || strings.Contains(w.logged(), "constraint") {
		t.Errorf("logged:\n%s", w.logged())
	}
}

func TestDeadlineIsTheContracts(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(ctx context.Context, req proto.Message) (proto.Message, error) {
			if req.(*eventv1.Actor).GetId() == ada {
				return req, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := w.as(ada, operator)
	must(t, say(t, conn, "Say", ada)) // the token is known from here on, which takes longer than the deadline
	err := conn.Invoke(ctx, "/"+echoName+"/Brief", &eventv1.Actor{}, &eventv1.Actor{})
	wantRefusal(t, "deadline", err, codes.DeadlineExceeded, "")
	w.stop()
	if strings.Contains(w.logged(), "unclassified") {
		t.Errorf("logged:\n%s", w.logged())
	}
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	conn := w.as(ada, operator)
	for _, size := range []int{100, 1 << 20} {
		err := conn.Invoke(t.Context(), "/"+echoName+"/Small", &eventv1.Meta{CausationId: make([]byte, size)}, &eventv1.Meta{})
		wantRefusal(t, "too large", err, codes.ResourceExhausted, boot.ReasonTooLarge)
	}
	err := conn.Invoke(t.Context(), "/"+echoName+"/Small", &eventv1.Meta{CausationId: make([]byte, 4<<20)}, &eventv1.Meta{})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("far too large: %v", err)
	}
	ss := chat(t, conn, "Chat")
	must(t, ss.SendMsg(&eventv1.Actor{Id: strings.Repeat("x", 200)}))
	wantRefusal(t, "in a stream", ss.RecvMsg(&eventv1.Actor{}), codes.ResourceExhausted, boot.ReasonTooLarge)
}

func TestRateIsPerCallerAndRPC(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	frozen := time.Now()
	w := start(t, func(c *boot.Config, _ *echo) {
		c.Seams.Now = func() time.Time { return frozen.Add(time.Duration(ahead.Load())) }
	})
	conn, other, own := w.as(ada, operator), w.as(bob, operator), w.as("offers", service)
	must(t, say(t, conn, "Rare", ada))
	must(t, say(t, conn, "Rare", ada)) // bursts of twice as many
	err := say(t, conn, "Rare", ada)
	wantRefusal(t, "third call", err, codes.ResourceExhausted, boot.ReasonRate)
	must(t, say(t, other, "Rare", ada))
	must(t, say(t, conn, "Say", ada))
	for range 5 {
		must(t, say(t, own, "Rare", ada)) // services have their own rate
	}
	ahead.Store(int64(time.Second))
	must(t, say(t, conn, "Rare", ada))
}

func TestBrokenRuleNamesTheField(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	conn := w.as(ada, operator)
	err := say(t, conn, "Mine", strings.Repeat("x", 65))
	wantRefusal(t, "rule", err, codes.InvalidArgument, "")
	if !names(err, "id") || strings.Contains(err.Error(), "xxx") {
		t.Errorf("the field is not named, or its value is: %v", status.Convert(err).Details())
	}
	ss := chat(t, conn, "Chat")
	must(t, ss.SendMsg(&eventv1.Actor{Id: strings.Repeat("x", 65)}))
	if err := ss.RecvMsg(&eventv1.Actor{}); status.Code(err) != codes.InvalidArgument || !names(err, "id") {
		t.Errorf("in a stream: %v", err)
	}
}

func names(err error, field string) bool {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				if v.GetField() == field && v.GetDescription() != "" {
					return true
				}
			}
		}
	}
	return false
}

func chat(t testing.TB, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	ss, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: method != "Watch"}, "/"+echoName+"/"+method)
	must(t, err)
	return ss
}

func TestStreamChecksEachMessage(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ss := chat(t, w.as(ada, subscriber), "Chat")
	for range 3 {
		must(t, ss.SendMsg(&eventv1.Actor{Id: ada}))
		must(t, ss.RecvMsg(&eventv1.Actor{}))
	}
	must(t, ss.SendMsg(&eventv1.Actor{Id: bob}))
	wantRefusal(t, "another's", ss.RecvMsg(&eventv1.Actor{}), codes.PermissionDenied, boot.ReasonNotOwner)

	wantRefusal(t, "no token", chat(t, w.with(""), "Chat").RecvMsg(&eventv1.Actor{}), codes.Unauthenticated, boot.ReasonTokenMissing)
	wantRefusal(t, "role", chat(t, w.as(ada, buyer), "Chat").RecvMsg(&eventv1.Actor{}), codes.PermissionDenied, boot.ReasonRoleDenied)
	done := chat(t, w.as(ada, subscriber), "Chat")
	must(t, done.CloseSend())
	if err := done.RecvMsg(&eventv1.Actor{}); !errors.Is(err, io.EOF) {
		t.Errorf("a stream at its end: %v", err)
	}
}

// A handler that swallows a refusal does not turn it into success.
func TestRefusalOfAMessageStands(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *boot.Config, e *echo) {
		e.stream = func(ss grpc.ServerStream) error {
			for range 3 {
				_ = ss.RecvMsg(&eventv1.Actor{})
			}
			return nil
		}
	})
	ss := chat(t, w.as(ada, subscriber), "Chat")
	must(t, ss.SendMsg(&eventv1.Actor{Id: bob}))
	wantRefusal(t, "swallowed", ss.RecvMsg(&eventv1.Actor{}), codes.PermissionDenied, boot.ReasonNotOwner)
}

func TestSilentStreamEnds(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ss := chat(t, w.as(ada, subscriber), "Quiet")
	wantRefusal(t, "silence", ss.RecvMsg(&eventv1.Actor{}), codes.DeadlineExceeded, boot.ReasonIdle)
}

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *boot.Config, e *echo) {
		e.stream = func(ss grpc.ServerStream) error {
			m := &eventv1.Actor{}
			if err := ss.RecvMsg(m); err != nil {
				return err
			}
			<-ss.Context().Done()
			return ss.Context().Err()
		}
	})
	conn := w.as(ada, subscriber)
	w.ahead.Store(int64(time.Hour - 2*time.Second)) // the token has two seconds left, at most
	ss := chat(t, conn, "Watch")
	must(t, ss.SendMsg(&eventv1.Actor{Id: ada}))
	must(t, ss.CloseSend())
	wantRefusal(t, "expiry", ss.RecvMsg(&eventv1.Actor{}), codes.Unauthenticated, boot.ReasonTokenExpired)
}

// Stopping: calls in flight end well, watchers are told to go on elsewhere, health says so.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	inside, release := make(chan struct{}), make(chan struct{})
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(_ context.Context, req proto.Message) (proto.Message, error) {
			close(inside)
			<-release
			return req, nil
		}
		e.stream = func(ss grpc.ServerStream) error {
			if err := ss.RecvMsg(&eventv1.Actor{}); err != nil {
				return err
			}
			if err := ss.SendMsg(&eventv1.Actor{}); err != nil {
				return err
			}
			<-ss.Context().Done()
			return ss.Context().Err()
		}
	})
	conn := w.as(ada, subscriber)
	ss := chat(t, conn, "Watch")
	must(t, ss.SendMsg(&eventv1.Actor{Id: ada}))
	must(t, ss.CloseSend())
	must(t, ss.RecvMsg(&eventv1.Actor{}))
	watch, err := healthpb.NewHealthClient(w.with("")).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	must(t, err)
	_, err = watch.Recv()
	must(t, err)
	answered := make(chan error, 1)
	go func() {
		answered <- conn.Invoke(t.Context(), "/"+echoName+"/Say", &eventv1.Actor{Id: ada}, &eventv1.Actor{})
	}()
	<-inside
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	wantRefusal(t, "watcher", ss.RecvMsg(&eventv1.Actor{}), codes.Unavailable, boot.ReasonStopping)
	close(release)
	must(t, <-answered)
	<-stopped
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	client := healthpb.NewHealthClient(w.with(""))
	check := func(name string, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || got.GetStatus() != want {
			t.Errorf("%q is %v, %v; want %v", name, got.GetStatus(), err, want)
		}
	}
	const up, down = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING
	check("", down)
	check("offers", down)
	if w.health.Ready() {
		t.Error("ready without tails")
	}
	w.health.Set("relay", false)
	w.health.Set("tails", true)
	check("", up)
	check("offers", up)
	check("tails", up)
	if !w.health.Ready() {
		t.Error("not ready with tails")
	}
	check("relay", down) // Kafka is down, and the service answers all the same
	w.health.Set("relay", true)
	check("relay", up)
	w.health.Set("tails", false)
	check("offers", down)
}

func TestReflectionIsByConfiguration(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		w := start(t, func(c *boot.Config, _ *echo) { c.Reflection = on })
		ss, err := reflectionpb.NewServerReflectionClient(w.with("")).ServerReflectionInfo(t.Context())
		must(t, err)
		// Refused already, perhaps: Recv says why.
		must(t, ignoreEOF(ss.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})))
		got, err := ss.Recv()
		if !on {
			if status.Code(err) != codes.Unimplemented {
				t.Errorf("off: %v, %v", got, err)
			}
			continue
		}
		if err != nil || !strings.Contains(got.String(), echoName) {
			t.Errorf("on: %v, %v", got, err)
		}
		must(t, ss.CloseSend())
	}
}

// What is wrong in the contract is found when the service starts.
func TestBadContractStopsTheService(t *testing.T) {
	t.Parallel()
	for name, owner := range map[string]string{
		"no such field": "name", "through no message": "id.value", "no text": "role", "nested unknown": "id.", "a dot": ".",
	} {
		file := echoFile("obole.bad.v1", func(m *descriptorpb.MethodDescriptorProto, a *eventv1.Access) {
			if m.GetName() == "Say" {
				a.Owner = owner
			}
		})
		fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
		must(t, err)
		files := &protoregistry.Files{}
		must(t, files.RegisterFile(fd))
		if _, err := boot.Methods(files, "obole."); err == nil || !strings.Contains(err.Error(), "Say") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := start(t, nil)
	srv, err := boot.NewServer(&boot.Config{Service: "x", Auth: w.cfg.Auth}, observe(t), boot.NewHealth("x"))
	must(t, err)
	srv.RegisterService(&grpc.ServiceDesc{ServiceName: "obole.unknown.v1.Service"}, nil)
	if err := srv.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "obole.unknown.v1.Service") {
		t.Errorf("without a descriptor: %v", err)
	}
	if _, err := boot.NewServer(&boot.Config{Service: "x"}, observe(t), boot.NewHealth("x")); err == nil {
		t.Error("a server without an issuer was made")
	}
}

func observe(t testing.TB) *boot.Telemetry {
	t.Helper()
	tel, err := boot.Observe(&boot.Config{Service: "x", Seams: boot.Seams{Log: io.Discard}})
	must(t, err)
	t.Cleanup(func() { must(t, tel.Close(context.Background())) })
	return tel
}
