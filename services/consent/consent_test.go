package consent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/internal/worldtest"
)

func reason(err error) string { return fault.ReasonOf(grpcfault.From(err)) }

// scene is a person with a consent service of their own.
type scene struct {
	*worldtest.World
	t       testing.TB
	config  consent.Config
	person  id.ID
	buyer   id.ID
	me      consentv1.ConsentServiceClient
	service consentv1.ConsentServiceClient
	offers  *worldtest.Peer
	stop    func()
	life    time.Duration // of a consent
}

func begin(t testing.TB, change func(*consent.Config)) *scene {
	t.Helper()
	w := worldtest.New(t)
	s := &scene{World: w, t: t, config: consent.Config{Config: w.Config(consent.Name)}, person: id.Random(), buyer: id.Random(), life: time.Hour}
	if change != nil {
		change(&s.config)
	}
	if err := consent.Migrate(t.Context(), s.config); err != nil {
		t.Fatal(err)
	}
	s.stop = w.Start(func(ctx context.Context) error { return consent.Run(ctx, s.config) })
	s.me = consentv1.NewConsentServiceClient(w.Dial(consent.Name, s.person.String(), eventv1.Role_ROLE_SUBSCRIBER))
	s.service = consentv1.NewConsentServiceClient(w.Dial(consent.Name, "delivery", eventv1.Role_ROLE_SERVICE))
	s.offers = w.Peer("offers")
	return s
}

func (s *scene) enrol(birth string) {
	s.t.Helper()
	if _, err := s.me.Enrol(s.t.Context(), &consentv1.EnrolRequest{
		SubscriberId: s.person.String(), Country: "BE", Language: "fr", BirthDate: birth, LineUser: "CANARY-LINE", IdempotencyKey: "enrol",
	}); err != nil {
		s.t.Fatal(err)
	}
}

// accept tells that the person accepted an offer, and gives the agreement.
func (s *scene) accept(bid id.ID) id.ID {
	agreement := id.Random()
	s.accepted(bid, agreement)
	return agreement
}

func (s *scene) accepted(bid, agreement id.ID) {
	offer := id.Random()
	s.offers.Tell(es.StreamOf(bid).Child(offer), &offersv1.Event{Event: &offersv1.Event_OfferAccepted{OfferAccepted: &offersv1.OfferAccepted{
		OfferId: offer.String(), ExplicitStepAt: time.Now().UnixMicro(), AnswerDue: time.Now().Add(15 * time.Minute).UnixMicro(), Licence: &marketv1.Licence{
			AgreementId: agreement.String(), OfferId: offer.String(), BidId: bid.String(), BuyerId: s.buyer.String(), SubscriberId: s.person.String(),
			Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, Purpose: "https://w3id.org/dpv#CANARY-PURPOSE",
			UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"}, CommissionPpm: 200_000, Country: "BE", Health: true,
			ExpiresAt: time.Now().Add(s.life).UnixMicro(), Fields: []*marketv1.GrantedField{{Id: "steps", Rung: "exact"}},
		},
	}}})
}

func (s *scene) consents() []*consentv1.Consent {
	s.t.Helper()
	list, err := s.me.ListConsents(s.t.Context(), &consentv1.ListConsentsRequest{SubscriberId: s.person.String()})
	if err != nil {
		s.t.Fatal(err)
	}
	return list.GetConsents()
}

func (s *scene) state(agreement id.ID) consentv1.ConsentState {
	for _, c := range s.consents() {
		if c.GetAgreementId() == agreement.String() {
			return c.GetState()
		}
	}
	return consentv1.ConsentState_CONSENT_STATE_UNSPECIFIED
}

func (s *scene) given(agreement id.ID) {
	s.Eventually("the consent", func() bool { return s.state(agreement) == consentv1.ConsentState_CONSENT_STATE_GIVEN })
}

func (s *scene) release(agreement, attempt id.ID) error {
	_, err := s.service.Release(s.t.Context(), &consentv1.ReleaseRequest{
		SubscriberId: s.person.String(), AgreementId: agreement.String(), DeliveryId: id.Random().String(), BuyerId: s.buyer.String(), AttemptId: attempt.String(),
	})
	return err
}

func (s *scene) withdraw(agreement id.ID) {
	s.t.Helper()
	r := &consentv1.WithdrawRequest{SubscriberId: s.person.String(), IdempotencyKey: id.Random().String()}
	if agreement.IsZero() {
		r.All = true
	} else {
		r.AgreementId = agreement.String()
	}
	if _, err := s.me.Withdraw(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
}

// TestALifeOfAConsent: accepted, given, used, paused, resumed, withdrawn; and nothing follows.
func TestALifeOfAConsent(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	ctx := t.Context()
	s.enrol("1990-02-03")
	bid := id.Random()
	agreement := s.accept(bid)
	s.given(agreement)
	if r := s.consents()[0].GetRecord(); r.GetLicence().GetPurpose() != "https://w3id.org/dpv#CANARY-PURPOSE" || len(r.GetLegalBases()) != 2 || len(r.GetRights()) == 0 ||
		r.GetLineUser() != "CANARY-LINE" {
		t.Errorf("the record is not whole: %v", r)
	}
	if live, err := s.service.CountLive(ctx, &consentv1.CountLiveRequest{BidId: bid.String()}); err != nil || live.GetLive() != 1 {
		t.Errorf("living consents: %v, %v", live, err)
	}
	attempt := id.Random()
	if err := s.release(agreement, attempt); err != nil {
		t.Fatal(err)
	}
	if err := s.release(agreement, attempt); reason(err) != "ATTEMPT_REPEATED" {
		t.Errorf("a permit was repeated: %v", err)
	}
	check := func() *consentv1.CheckResponse {
		c, err := s.service.Check(ctx, &consentv1.CheckRequest{SubscriberId: s.person.String(), AgreementId: agreement.String()})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if !check().GetAllowed() {
		t.Error("a living consent is not allowed")
	}
	pause := &consentv1.PauseRequest{SubscriberId: s.person.String(), All: true, IdempotencyKey: "p"}
	if _, err := s.me.Pause(ctx, pause); err != nil {
		t.Fatal(err)
	}
	if err := s.release(agreement, id.Random()); reason(err) != "PAUSED" {
		t.Errorf("while all is paused: %v", err)
	}
	if live, err := s.service.CountLive(ctx, &consentv1.CountLiveRequest{BidId: bid.String()}); err != nil || live.GetLive() != 0 {
		t.Errorf("living consents while paused: %v, %v", live, err)
	}
	if _, err := s.me.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: s.person.String(), All: true, IdempotencyKey: "r"}); err != nil {
		t.Fatal(err)
	}
	if err := s.release(agreement, id.Random()); err != nil {
		t.Errorf("after resuming: %v", err)
	}
	if _, err := s.service.BarBuyer(ctx, &consentv1.BarBuyerRequest{BuyerId: s.buyer.String(), Reason: "FRAUD", IdempotencyKey: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := s.release(agreement, id.Random()); reason(err) != "BUYER_SUSPENDED" {
		t.Errorf("a suspended buyer: %v", err)
	}
	if c := check(); c.GetAllowed() || c.GetReason() != consentv1.Reason_REASON_BUYER_SUSPENDED {
		t.Errorf("checked for a suspended buyer: %v", c)
	}
	if _, err := s.service.UnbarBuyer(ctx, &consentv1.UnbarBuyerRequest{BuyerId: s.buyer.String(), IdempotencyKey: "u"}); err != nil {
		t.Fatal(err)
	}
	s.withdraw(agreement)
	if err := s.release(agreement, id.Random()); reason(err) != "WITHDRAWN" {
		t.Errorf("after a withdrawal: %v", err)
	}
	if c := check(); c.GetAllowed() || c.GetReason() != consentv1.Reason_REASON_WITHDRAWN {
		t.Errorf("checked after a withdrawal: %v", c)
	}
	s.Eventually("the list to say so", func() bool { return s.state(agreement) == consentv1.ConsentState_CONSENT_STATE_WITHDRAWN })
	if c := s.consents()[0]; c.GetReleases() != 2 || c.GetEndedAt() == 0 {
		t.Errorf("the list says %v", c)
	}
	if err := consent.Fsck(ctx, s.config); err != nil {
		t.Errorf("fsck: %v", err)
	}
	s.noCanary()
}

// noCanary looks for what is personal in everything that the database stores.
func (s *scene) noCanary() {
	s.t.Helper()
	ctx := s.t.Context()
	conn, err := pgx.Connect(ctx, s.config.Database.OwnerURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	rows, err := conn.Query(ctx, `select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)
	if err != nil {
		s.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (name pgx.Identifier, err error) {
		name = make(pgx.Identifier, 2)
		return name, row.Scan(&name[0], &name[1])
	})
	if err != nil {
		s.t.Fatal(err)
	}
	events := 0
	for _, table := range tables {
		rows, err := conn.Query(ctx, `select encode(convert_to(t::text, 'UTF8'), 'escape') || (select coalesce(string_agg(encode(v::bytea, 'escape'), ' '), '') from (select (jsonb_each_text(to_jsonb(t))).value v) x where v like '\\x%') from `+table.Sanitize()+` t`)
		if err != nil {
			s.t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			s.t.Fatal(err)
		}
		if table[1] == "event" {
			events = len(all)
		}
		for _, row := range all {
			if strings.Contains(row, "CANARY") || strings.Contains(row, "1990-02-03") {
				s.t.Errorf("table %s holds something personal in clear", table.Sanitize())
			}
		}
	}
	if events == 0 {
		s.t.Error("the search has looked at no event")
	}
}

// TestAConsentEndsByItself when its time is over, without anybody's doing.
func TestAConsentEndsByItself(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	s.life = 6 * time.Second // of the log's time, which nobody sets
	s.enrol("1990-02-03")
	agreement := s.accept(id.Random())
	s.given(agreement)
	if err := s.release(agreement, id.Random()); err != nil {
		t.Fatal(err)
	}
	s.Eventually("its end", func() bool { return s.state(agreement) == consentv1.ConsentState_CONSENT_STATE_EXPIRED })
	if err := s.release(agreement, id.Random()); reason(err) != "EXPIRED" {
		t.Errorf("the gate after it: %v", err)
	}
}

func TestWhoMayNotBeOfferedMoney(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	profile := func() consentv1.Reason {
		p, err := s.service.GetProfile(t.Context(), &consentv1.GetProfileRequest{SubscriberId: s.person.String()})
		if err != nil {
			t.Fatal(err)
		}
		return p.GetNotEligible()
	}
	if r := profile(); r != consentv1.Reason_REASON_SUBSCRIBER_UNKNOWN {
		t.Errorf("before enrolling: %v", r)
	}
	s.enrol("")
	if r := profile(); r != consentv1.Reason_REASON_AGE_UNKNOWN {
		t.Errorf("without an age: %v", r)
	}
	refused := s.accept(id.Random())
	s.Eventually("the refusal", func() bool { return s.state(refused) == consentv1.ConsentState_CONSENT_STATE_REFUSED })
	if c := s.consents()[0]; c.GetRefused() != consentv1.Reason_REASON_AGE_UNKNOWN {
		t.Errorf("refused for %v", c.GetRefused())
	}
	operator := consentv1.NewConsentServiceClient(s.Dial(consent.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	if _, err := operator.AssureAge(t.Context(), &consentv1.AssureAgeRequest{
		SubscriberId: s.person.String(), Method: "CONTRACT", Level: consentv1.AssuranceLevel_ASSURANCE_LEVEL_CONTRACT, AtLeast: 18, IdempotencyKey: "a",
	}); err != nil {
		t.Fatal(err)
	}
	if r := profile(); r != consentv1.Reason_REASON_UNSPECIFIED {
		t.Errorf("assured: %v", r)
	}
	if _, err := s.me.AssureAge(t.Context(), &consentv1.AssureAgeRequest{
		SubscriberId: s.person.String(), Method: "SELF", Level: consentv1.AssuranceLevel_ASSURANCE_LEVEL_DOCUMENT, AtLeast: 18, IdempotencyKey: "x",
	}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a person assured their own age: %v", err)
	}
}

// TestWithdrawalNeedsNobody: no Kafka, no other service; the withdrawal is accepted and obeyed, also after a restart.
func TestWithdrawalNeedsNobody(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	s.enrol("1990-02-03")
	one, two := s.accept(id.Random()), s.accept(id.Random())
	s.given(one)
	s.given(two)
	s.stop()
	s.config.Kafka.Brokers = []string{"127.0.0.1:1"}
	s.config.Peers = map[string]string{"offers": "127.0.0.1:1", "delivery": "127.0.0.1:1"} // where nobody is
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.config.Seams.Listener = l
	s.Start(func(ctx context.Context) error { return consent.Run(ctx, s.config) })
	conn := s.DialAddr(l.Addr().String(), consent.Name, s.person.String(), eventv1.Role_ROLE_SUBSCRIBER)
	s.service = consentv1.NewConsentServiceClient(s.DialAddr(l.Addr().String(), consent.Name, "delivery", eventv1.Role_ROLE_SERVICE))
	s.me = consentv1.NewConsentServiceClient(conn)
	if err := s.release(one, id.Random()); err != nil {
		t.Fatalf("before: %v", err)
	}
	s.withdraw(id.ID{})
	for _, a := range []id.ID{one, two} {
		if err := s.release(a, id.Random()); reason(err) != "WITHDRAWN" {
			t.Errorf("after withdrawing all: %v", err)
		}
	}
}

// TestAWithdrawalElsewhereIsCheckedInTime: two processes serve one log; what one has recorded the other's Check knows after at most 250 ms,
// and its gate at once.
func TestAWithdrawalElsewhereIsCheckedInTime(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	s.enrol("1990-02-03")
	agreement := s.accept(id.Random())
	s.given(agreement)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second := s.config
	second.Seams.Listener = l
	s.Start(func(ctx context.Context) error { return consent.Run(ctx, second) })
	other := consentv1.NewConsentServiceClient(s.DialAddr(l.Addr().String(), consent.Name, "delivery", eventv1.Role_ROLE_SERVICE))
	ask := &consentv1.CheckRequest{SubscriberId: s.person.String(), AgreementId: agreement.String()}
	if c, err := other.Check(t.Context(), ask); err != nil || !c.GetAllowed() {
		t.Fatalf("before: %v, %v", c, err)
	}
	s.withdraw(agreement)
	known := time.Now()
	if c, err := s.service.Check(t.Context(), ask); err != nil || c.GetAllowed() {
		t.Errorf("the process that recorded the withdrawal says %v, %v", c, err)
	}
	for {
		asked := time.Now()
		c, err := other.Check(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		if !c.GetAllowed() {
			if c.GetReason() != consentv1.Reason_REASON_WITHDRAWN {
				t.Errorf("refused for %v", c.GetReason())
			}
			break
		}
		if late := asked.Sub(known); late > 250*time.Millisecond {
			t.Fatalf("allowed %v after the withdrawal", late)
		}
	}
	// Who has heard of what this process recorded is answered by the other of then at once.
	paused := s.accept(id.Random())
	s.given(paused)
	ask.AgreementId = paused.String()
	for round := range 5 {
		key := fmt.Sprint("round ", round)
		stopped, err := s.me.Pause(t.Context(), &consentv1.PauseRequest{SubscriberId: s.person.String(), AgreementId: paused.String(), IdempotencyKey: "p " + key})
		if err != nil {
			t.Fatal(err)
		}
		ask.After = stopped.GetCursor()
		if c, err := other.Check(t.Context(), ask); err != nil || c.GetReason() != consentv1.Reason_REASON_PAUSED {
			t.Errorf("after the pause the other process says %v, %v", c, err)
		}
		resumed, err := s.me.Resume(t.Context(), &consentv1.ResumeRequest{SubscriberId: s.person.String(), AgreementId: paused.String(), IdempotencyKey: "r " + key})
		if err != nil {
			t.Fatal(err)
		}
		ask.After = resumed.GetCursor()
		if c, err := other.Check(t.Context(), ask); err != nil || !c.GetAllowed() {
			t.Errorf("after the pause has ended the other process says %v, %v", c, err)
		}
	}
	s.service = other
	again := s.accept(id.Random())
	s.given(again)
	s.withdraw(again)
	if err := s.release(again, id.Random()); reason(err) != "WITHDRAWN" {
		t.Errorf("the other process's gate: %v", err)
	}
}

// TestPausedBeforeConsentKnewOfIt: one agreement is paused whose acceptance is still on its way. It becomes a consent that is paused,
// in the tables as at the gate, until it is resumed.
func TestPausedBeforeConsentKnewOfIt(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	ctx := t.Context()
	s.enrol("1990-02-03")
	agreement := id.Random()
	r := &consentv1.PauseRequest{SubscriberId: s.person.String(), AgreementId: agreement.String(), IdempotencyKey: "p"}
	for range 2 {
		if out, err := s.me.Pause(ctx, r); err != nil || !out.GetAwaited() || out.GetEffectiveAt() == 0 {
			t.Fatalf("paused: %v, %v", out, err)
		}
	}
	r.IdempotencyKey = "again"
	if out, err := s.me.Pause(ctx, r); err != nil || !out.GetAwaited() {
		t.Errorf("paused again: %v, %v", out, err)
	}
	s.accepted(id.Random(), agreement)
	s.Eventually("the consent", func() bool { return s.state(agreement) == consentv1.ConsentState_CONSENT_STATE_PAUSED })
	if err := s.release(agreement, id.Random()); reason(err) != "PAUSED" {
		t.Errorf("the gate says %v", err)
	}
	r.IdempotencyKey = "once more"
	if out, err := s.me.Pause(ctx, r); err != nil || out.GetAwaited() {
		t.Errorf("paused when it was there: %v, %v", out, err)
	}
	if _, err := s.me.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: s.person.String(), AgreementId: agreement.String(), IdempotencyKey: "r"}); err != nil {
		t.Fatal(err)
	}
	if err := s.release(agreement, id.Random()); err != nil {
		t.Errorf("the gate after it was resumed: %v", err)
	}
	if err := consent.Fsck(ctx, s.config); err != nil {
		t.Errorf("fsck: %v", err)
	}
}

// TestWithdrawnBeforeConsentKnewOfIt: one agreement is withdrawn whose acceptance is still on its way. It becomes no consent; another
// one does.
func TestWithdrawnBeforeConsentKnewOfIt(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	ctx := t.Context()
	s.enrol("1990-02-03")
	agreement := id.Random()
	r := &consentv1.WithdrawRequest{SubscriberId: s.person.String(), AgreementId: agreement.String(), IdempotencyKey: "w"}
	for range 2 {
		if out, err := s.me.Withdraw(ctx, r); err != nil || !out.GetAwaited() || out.GetEnded() != 0 || out.GetEffectiveAt() == 0 {
			t.Fatalf("withdrawn: %v, %v", out, err)
		}
	}
	r.IdempotencyKey = "again"
	if out, err := s.me.Withdraw(ctx, r); err != nil || !out.GetAwaited() {
		t.Errorf("withdrawn again: %v, %v", out, err)
	}
	s.accepted(id.Random(), agreement)
	s.Eventually("the refusal", func() bool { return s.state(agreement) == consentv1.ConsentState_CONSENT_STATE_REFUSED })
	if c := s.consents()[0]; c.GetRefused() != consentv1.Reason_REASON_WITHDRAWN {
		t.Errorf("refused for %v", c.GetRefused())
	}
	if err := s.release(agreement, id.Random()); reason(err) != "CONSENT_UNKNOWN" {
		t.Errorf("the gate says %v", err)
	}
	other := s.accept(id.Random())
	s.given(other)
	if err := consent.Fsck(ctx, s.config); err != nil {
		t.Errorf("fsck: %v", err)
	}
}

func TestRequestsThatAreWrongNameTheField(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	s.enrol("1990-02-03")
	ctx := t.Context()
	field := func(err error) string {
		if f, ok := errors.AsType[*fault.Error](grpcfault.From(err)); ok && len(f.Facts) > 0 {
			return f.Facts[0].Name
		}
		return ""
	}
	_, neither := s.me.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: s.person.String(), IdempotencyKey: "1"})
	_, both := s.me.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: s.person.String(), AgreementId: id.Random().String(), All: true, IdempotencyKey: "1"})
	_, nokey := s.me.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: s.person.String(), All: true})
	_, day := s.me.Enrol(ctx, &consentv1.EnrolRequest{SubscriberId: s.person.String(), Country: "BE", Language: "fr", BirthDate: "2026-02-30", IdempotencyKey: "2"})
	_, floors := s.me.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: s.person.String(), IdempotencyKey: "3", Rules: &consentv1.Rules{
		Floors: []*consentv1.Floor{{Product: "daily-steps", Currency: "EUR"}, {Product: "daily-steps", Currency: "EUR"}},
	}})
	for want, err := range map[string]error{"agreement_id": neither, "all": both, "idempotency_key": nokey, "birth_date": day, "rules.floors": floors} {
		if got := field(err); got != want {
			t.Errorf("want %s named, got %q in %v", want, got, err)
		}
	}
	if _, err := s.me.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: s.person.String(), AgreementId: id.Random().String(), IdempotencyKey: "4"}); reason(err) != "CONSENT_UNKNOWN" {
		t.Errorf("a consent that is not there: %v", err)
	}
	if _, err := s.me.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: id.Random().String(), AgreementId: id.Random().String(), IdempotencyKey: "4"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("somebody else's agreement: %v", err)
	}
	if _, err := s.me.GetRules(ctx, &consentv1.GetRulesRequest{SubscriberId: id.Random().String()}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("somebody else's rules: %v", err)
	}
	rules := &consentv1.SetRulesRequest{SubscriberId: s.person.String(), Rules: &consentv1.Rules{MaxAgreements: 3, PurposesNever: []string{"https://w3id.org/dpv#Marketing"}}, IdempotencyKey: "5"}
	set, err := s.me.SetRules(ctx, rules)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*eventv1.Cursor){
		"as it was given":         func(*eventv1.Cursor) {},
		"of another life":         func(c *eventv1.Cursor) { c.Incarnation[0]++ },
		"of another service":      func(c *eventv1.Cursor) { c.Service = "offers" },
		"of no partition of ours": func(c *eventv1.Cursor) { c.Partition = 99 },
	} {
		after := proto.CloneOf(set.GetCursor())
		change(after)
		_, read := s.me.GetRules(ctx, &consentv1.GetRulesRequest{SubscriberId: s.person.String(), After: after})
		_, told := s.service.GetProfile(ctx, &consentv1.GetProfileRequest{SubscriberId: s.person.String(), After: after})
		if given := proto.Equal(after, set.GetCursor()); (read == nil) != given || (told == nil) != given {
			t.Errorf("a cursor %s: %v, %v", what, read, told)
		}
	}
	_, over := s.me.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: s.person.String(), Rules: &consentv1.Rules{}, Over: &consentv1.Rules{MaxAgreements: 2}, IdempotencyKey: "6"})
	if status.Code(over) != codes.Aborted || reason(over) != "RULES_CHANGED" {
		t.Errorf("rules over others than those that stand: %v", over)
	}
	rules.Rules.MaxAgreements = 4
	if _, err := s.me.SetRules(ctx, rules); reason(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("another request under the same key: %v", err)
	}
	if got, err := s.me.GetRules(ctx, &consentv1.GetRulesRequest{SubscriberId: s.person.String()}); err != nil || got.GetRules().GetMaxAgreements() != 3 {
		t.Errorf("the rules are %v, %v", got, err)
	}
}
