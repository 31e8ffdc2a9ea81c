package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// edge is another one in front of a running market, with a clock that the test moves and limits that do not stand in its way.
type edge struct {
	url  string
	stop func()

	mu    sync.Mutex
	ahead time.Duration
}

func (e *edge) now() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Now().Add(e.ahead)
}

func (e *edge) move(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ahead += d
}

func front(t *testing.T, dir string, r place.Running, change func(*app.Config)) *edge {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{url: "http://" + l.Addr().String()}
	c := app.Config{Config: boot.Config{
		Peers: r.Services, Auth: boot.Auth{Issuer: r.Issuer, SecretFile: filepath.Join(place.Folder(dir).Issuer(), "app.secret")},
		Telemetry: boot.TelemetryConfig{Level: "error"},
	}, Calls: app.CallsConfig{Session: 10_000, Address: 10_000, Logins: 1000}}
	c.Seams.Now, c.Seams.Listener, c.Seams.Log = e.now, l, t.Output()
	if change != nil {
		change(&c)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, c) }()
	var once sync.Once
	e.stop = func() {
		once.Do(func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("the edge: %v", err)
			}
		})
	}
	t.Cleanup(e.stop)
	return e
}

// calls speaks Connect's JSON with a browser's cookies, or what is asked for; the zero peer is the four services.
func calls(b *worldtest.Browser, peer string, o ...connecthttp.Option) *connect.Client {
	base := b.Page + "/rpc"
	if peer != "" {
		base += "/at/" + peer
	}
	if len(o) == 0 {
		o = []connecthttp.Option{connecthttp.WithProtoJSON()}
	}
	return connect.NewClient(connecthttp.NewTransport(b.Client(), base, o...))
}

// why reads the reason of an error, and its code.
func why(err error) (connect.Code, string) {
	var e *connect.Error
	if !errors.As(err, &e) {
		return 0, ""
	}
	for _, d := range e.Details() {
		if m, err := connectproto.UnmarshalErrorDetail(d); err == nil {
			if info, is := m.(*errdetails.ErrorInfo); is {
				return e.Code(), info.GetReason()
			}
		}
	}
	return e.Code(), ""
}

// ask makes a call of any RPC; of a stream its first answer counts. One that is allowed and has nothing to say yet is cut off.
func ask(t *testing.T, c *connect.Client, m *boot.Method, owner string) error {
	t.Helper()
	req := dynamicpb.NewMessage(m.Desc.Input())
	fill(req, m.Access.GetOwner(), owner)
	res := dynamicpb.NewMessage(m.Desc.Output())
	spec := connect.Spec{Procedure: m.Name}
	if !m.Desc.IsStreamingServer() {
		return c.CallUnary(t.Context(), spec, req, res)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	spec.StreamType = connect.StreamTypeServer
	stream, err := c.CallServerStream(ctx, spec, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.Receive(res); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return err
	}
	return nil
}

func fill(m protoreflect.Message, path, value string) {
	if path == "" {
		return
	}
	head, rest, nested := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(head))
	if nested {
		fill(m.Mutable(f).Message(), rest, value)
		return
	}
	m.Set(f, protoreflect.ValueOfString(value))
}

// someone signs in and says who that is.
func someone(t *testing.T, page, name string) (*worldtest.Browser, string) {
	t.Helper()
	b := worldtest.NewBrowser(t, page, nil)
	b.SignIn(name, "/")
	var me struct{ Subject string }
	if a := b.Get("/api/me"); json.Unmarshal([]byte(a.Body), &me) != nil || me.Subject == "" {
		t.Fatalf("%s: %s", name, a.Body)
	}
	return b, me.Subject
}

// browsers are the roles that people in browsers have.
var browsers = map[eventv1.Role]string{
	eventv1.Role_ROLE_SUBSCRIBER: "", eventv1.Role_ROLE_BUYER: "A sleep study", eventv1.Role_ROLE_FINANCE: "Finance",
	eventv1.Role_ROLE_OPERATOR: "Operator", eventv1.Role_ROLE_AUDITOR: "Auditor",
}

// TestEveryCallThroughThePage walks all RPCs of the contract through the edge, in every role that people in browsers have, for themselves and for somebody
// else, without a session, with one that is over and with forged ones. What browsers may not call is not there.
func TestEveryCallThroughThePage(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	_, r := up(t, dir)
	sh := shell{t, []string{"--data", dir}}
	person := sh.line("enrol", "--country", "BE", "--born", "1990-02-03")["subscriber_id"].(string)
	another := sh.line("enrol", "--country", "BE", "--born", "1991-02-03")["subscriber_id"].(string)
	key := filepath.Join(dir, "study.key")
	sh.ok("keys", key)
	sh.ok(append(registering, "--buyer", key)...)

	e, over := front(t, dir, r, nil), front(t, dir, r, nil)
	methods, err := boot.Methods(protoregistry.GlobalFiles, "obole.")
	if err != nil {
		t.Fatal(err)
	}
	browsers := maps.Clone(browsers)
	browsers[eventv1.Role_ROLE_SUBSCRIBER] = "Person " + person[:8]
	sessions, subjects := map[eventv1.Role]*worldtest.Browser{}, map[eventv1.Role]string{}
	for role, name := range browsers {
		sessions[role], subjects[role] = someone(t, e.url, name)
	}
	if subjects[eventv1.Role_ROLE_SUBSCRIBER] != person {
		t.Fatal("the page knows somebody else under this name")
	}
	nobody, forged, ended := worldtest.NewBrowser(t, e.url, nil), worldtest.NewBrowser(t, e.url, nil), worldtest.NewBrowser(t, over.url, nil)
	forged.Forge("obole-session-"+e.url[strings.LastIndexByte(e.url, ':')+1:], strings.Repeat("A", 43))
	ended.SignIn(browsers[eventv1.Role_ROLE_SUBSCRIBER], "/")
	over.move(31 * time.Minute)

	walked, denied := 0, 0
	for _, m := range methods {
		peer := ""
		if strings.HasPrefix(m.Name, "/obole.log.") {
			peer = "consent"
		}
		people := slices.ContainsFunc(m.Access.GetRoles(), func(r eventv1.Role) bool { _, is := browsers[r]; return is })
		if !people || m.Desc.IsStreamingClient() {
			if a := sessions[eventv1.Role_ROLE_OPERATOR].Post("/rpc"+m.Name, "application/json", []byte("{}")); a.Status != http.StatusNotFound && a.Status != http.StatusNotImplemented {
				t.Errorf("%s, which is not for browsers: %d %s", m.Name, a.Status, a.Body)
			}
			continue
		}
		for want, b := range map[string]*worldtest.Browser{"TOKEN_MISSING": nobody, "TOKEN_INVALID": forged, "TOKEN_EXPIRED": ended} {
			if code, got := why(ask(t, calls(b, peer), m, person)); code != connect.CodeUnauthenticated || got != want {
				t.Errorf("%s: %v %s, want %s", m.Name, code, got, want)
			}
		}
		for role, b := range sessions {
			listed := slices.Contains(m.Access.GetRoles(), role)
			self := role == eventv1.Role_ROLE_SUBSCRIBER || role == eventv1.Role_ROLE_BUYER
			for owner, own := range map[string]bool{subjects[role]: true, another: false} {
				code, got := why(ask(t, calls(b, peer), m, owner))
				want := ""
				switch {
				case !listed:
					want = "ROLE_DENIED"
				case self && !own && m.Access.GetOwner() != "":
					want = "NOT_OWNER"
				}
				if want != "" {
					denied++
				}
				if refused := code == connect.CodePermissionDenied || code == connect.CodeUnauthenticated; refused != (want != "") || refused && got != want {
					t.Errorf("%s by %v for itself %v: %v %s, want %q", m.Name, role, own, code, got, want)
				}
				walked++
			}
		}
	}
	if walked < 300 || denied < 200 {
		t.Errorf("only %d calls were made, %d of them to be denied", walked, denied)
	}
}

// TestWhatServicesSayComesThrough: fields, reasons and waits, in Connect's two forms and gRPC-Web; and what works, works.
func TestWhatServicesSayComesThrough(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	_, r := up(t, dir)
	e := front(t, dir, r, nil)
	b, me := someone(t, e.url, "Somebody new")
	for name, o := range map[string]connecthttp.Option{
		"Connect, JSON": connecthttp.WithProtoJSON(), "Connect, binary": connecthttp.WithSendMaxBytes(0), "gRPC-Web": connecthttp.WithGRPCWeb(),
	} {
		c := calls(b, "", o)
		enrol := connect.Spec{Procedure: consentv1.ConsentService_Enrol_FullMethodName}
		err := c.CallUnary(t.Context(), enrol, &consentv1.EnrolRequest{SubscriberId: me, Country: "belgium", Language: "fr", IdempotencyKey: "e"}, &consentv1.EnrolResponse{})
		var refused *connect.Error
		if !errors.As(err, &refused) || refused.Code() != connect.CodeInvalidArgument {
			t.Fatalf("%s: a country that is none: %v", name, err)
		}
		fields := ""
		for _, d := range refused.Details() {
			m, err := connectproto.UnmarshalErrorDetail(d)
			if bad, is := m.(*errdetails.BadRequest); is && err == nil {
				for _, v := range bad.GetFieldViolations() {
					fields += v.GetField()
				}
			}
		}
		if fields != "country" {
			t.Errorf("%s: the fields that are wrong: %q", name, fields)
		}
		answer := &consentv1.EnrolResponse{}
		if err := c.CallUnary(t.Context(), enrol, &consentv1.EnrolRequest{SubscriberId: me, Country: "BE", Language: "fr", BirthDate: "1990-02-03", IdempotencyKey: "e"}, answer); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rules := &consentv1.GetRulesResponse{}
		get := connect.Spec{Procedure: consentv1.ConsentService_GetRules_FullMethodName}
		if err := c.CallUnary(t.Context(), get, &consentv1.GetRulesRequest{SubscriberId: me, After: answer.GetCursor()}, rules); err != nil {
			t.Errorf("%s: reading what was written: %v", name, err)
		}
		err = c.CallUnary(t.Context(), enrol, &consentv1.EnrolRequest{SubscriberId: me, Country: "ES", Language: "es", IdempotencyKey: "e"}, answer)
		if code, got := why(err); got != "IDEMPOTENCY_CONFLICT" || code == 0 {
			t.Errorf("%s: another request under the key: %v %s", name, code, got)
		}
	}
	a := b.Post("/rpc/obole.consent.v1.ConsentService/GetRules", "application/json", []byte(`{"subscriberId": "`+id.Random().String()+`"}`))
	if a.Status != http.StatusForbidden || !strings.Contains(a.Body, `"NOT_OWNER"`) || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("as a page sends it: %d %s", a.Status, a.Body)
	}
	op, _ := someone(t, e.url, "Operator")
	if a := op.Get("/api/health"); a.Status != http.StatusOK || strings.Count(a.Body, `"reachable":true`) != 4 || !strings.Contains(a.Body, `"tails":"SERVING"`) {
		t.Errorf("health: %d %s", a.Status, a.Body)
	}
	if a := b.Get("/api/health"); a.Status != http.StatusForbidden || !strings.Contains(a.Body, "ROLE_DENIED") {
		t.Errorf("health for a person: %d %s", a.Status, a.Body)
	}
}

// TestStreamsReachThePage as things happen, end with their session and with the edge, and are not without number.
func TestStreamsReachThePage(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	_, r := up(t, dir)
	sh := shell{t, []string{"--data", dir}}
	key := filepath.Join(dir, "study.key")
	sh.ok("keys", key)
	sh.ok(append(registering, "--buyer", key)...)
	sh.ok("buyer", "vet", key)
	sh.ok("fund", "--buyer", key, "100 EUR", "--reference", "B-1")
	e := front(t, dir, r, nil)
	watch := func(b *worldtest.Browser, who string, o ...connecthttp.Option) connect.ClientStream {
		t.Helper()
		stream, err := calls(b, "", o...).CallServerStream(t.Context(), connect.Spec{
			Procedure: offersv1.OffersService_WatchBids_FullMethodName, StreamType: connect.StreamTypeServer,
		}, &offersv1.WatchBidsRequest{BuyerId: who})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stream.Close() })
		return stream
	}
	b, who := someone(t, e.url, "A sleep study")
	streams := []connect.ClientStream{watch(b, who), watch(b, who, connecthttp.WithGRPCWeb())}
	bid := sh.line(append([]string{"bid", "place", "--buyer", key}, asking...)...)
	open := func(s connect.ClientStream) error {
		for {
			var m offersv1.WatchBidsResponse
			if err := s.Receive(&m); err != nil {
				return err
			}
			if m.GetBid().GetState() == offersv1.BidState_BID_STATE_OPEN {
				return nil
			}
		}
	}
	for _, s := range streams {
		if err := open(s); err != nil {
			t.Fatalf("bid %v was placed: %v", bid, err)
		}
	}
	other, _ := someone(t, e.url, "A sleep study")
	last := watch(other, who)
	if err := open(last); err != nil {
		t.Fatal(err)
	}
	b.Post("/logout", "", nil)
	for _, s := range streams {
		if code, got := why(s.Receive(new(offersv1.WatchBidsResponse))); code != connect.CodeUnauthenticated || got != "TOKEN_EXPIRED" {
			t.Errorf("after signing out: %v %s", code, got)
		}
	}
	many := []connect.ClientStream{last}
	for len(many) < 16 {
		s := watch(other, who)
		if err := open(s); err != nil {
			t.Fatal(err)
		}
		many = append(many, s)
	}
	if code, got := why(watch(other, who).Receive(new(offersv1.WatchBidsResponse))); code != connect.CodeResourceExhausted || got != "RATE_EXCEEDED" {
		t.Errorf("one stream too many: %v %s", code, got)
	}
	go e.stop()
	for _, s := range many {
		if code, got := why(s.Receive(new(offersv1.WatchBidsResponse))); code != connect.CodeUnavailable || got != "STOPPING" {
			t.Errorf("when the edge ends: %v %s", code, got)
		}
	}
}

// TestTheMarketsOwnPage: up serves it, and whoever joins may sign in to it.
func TestTheMarketsOwnPage(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	_, r := up(t, dir)
	b := worldtest.NewBrowser(t, r.Page, nil)
	if a := b.Get("/"); a.Status != http.StatusOK || !strings.Contains(a.Body, "<title>") {
		t.Fatalf("the page: %d %s", a.Status, a.Body)
	}
	sh := shell{t, []string{"--data", dir}}
	person := sh.line("enrol", "--country", "FR", "--born", "1990-02-03")["subscriber_id"].(string)
	if at := b.SignIn("Person "+person[:8], "/data"); at.URL != r.Page+"/data" {
		t.Errorf("signing in ends at %s", at.URL)
	}
}
