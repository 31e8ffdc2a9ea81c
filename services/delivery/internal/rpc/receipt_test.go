package rpc_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

func no(reason string) error { return fault.Refuse(reason, "no") }

// TestALostAnswer: a key left, the answer was lost, and something happened before the buyer asks again. Where the consent lives the gate
// decides anew; where it has ended the answer of then comes again, byte for byte; where something else refuses, nothing comes. It is
// charged once whatever happens.
func TestALostAnswer(t *testing.T) {
	t.Parallel()
	const anew, again = "through the gate", "as it was"
	permitted := map[string]int{"all is delivered, and over": 2} // the consent lives; of all others there is the one of the release
	withdrawn := func(d *desk, p waits) {
		d.gate.no = no("WITHDRAWN")
		d.do(p.who, shelf.End{Shelf: shelf.Of(p.who), Agreement: p.agreement, Reason: shelf.EndWithdrawn})
	}
	for name, tc := range map[string]struct {
		between func(d *desk, p waits)
		sign    string // the key under which the buyer signs then; k1 unless it says so
		want    string // anew, again, or the reason of the refusal
	}{
		"nothing":                        {between: func(*desk, waits) {}, want: anew},
		"withdrawn":                      {between: func(d *desk, _ waits) { d.gate.no = no("WITHDRAWN") }, want: again},
		"withdrawn, and delivery knows":  {between: withdrawn, want: again},
		"withdrawn, and the key is gone": {between: func(d *desk, p waits) { withdrawn(d, p); d.must(d.Store.DestroyOf(d.t.Context(), p.agreement.ID)) }, want: again},
		"withdrawn a while ago":          {between: func(d *desk, p waits) { withdrawn(d, p); d.ahead.Store(int64(patience - time.Minute)) }, want: again},
		"withdrawn, too long ago":        {between: func(d *desk, p waits) { withdrawn(d, p); d.ahead.Store(int64(patience)) }, want: "WITHDRAWN"},
		"released too long ago, and over": {between: func(d *desk, p waits) {
			d.ahead.Store(int64(patience))
			d.must(d.Store.DestroyOf(d.t.Context(), p.agreement.ID))
		}, want: "AGREEMENT_ENDED"},
		"expired":                                {between: func(d *desk, _ waits) { d.gate.no = no("EXPIRED") }, want: again},
		"all is delivered, and over":             {between: func(d *desk, p waits) { d.must(d.Store.DestroyOf(d.t.Context(), p.agreement.ID)) }, want: again},
		"all is delivered, and over for an hour": {between: func(d *desk, p waits) { d.fulfilled(p); d.ahead.Store(int64(time.Hour)) }, want: again},
		"paused":                                 {between: func(d *desk, _ waits) { d.gate.no = no("PAUSED") }, want: "PAUSED"},
		"the buyer was suspended":                {between: func(d *desk, _ waits) { d.gate.no = no("BUYER_SUSPENDED") }, want: "BUYER_SUSPENDED"},
		"the buyer was suspended, and the key is gone": {between: func(d *desk, p waits) {
			d.gate.no = no("BUYER_SUSPENDED")
			d.must(d.Store.DestroyOf(d.t.Context(), p.agreement.ID))
		}, want: "BUYER_SUSPENDED"},
		"consent is away, and the key is gone": {between: func(d *desk, p waits) {
			d.gate.no = fault.Unavailable("away")
			d.must(d.Store.DestroyOf(d.t.Context(), p.agreement.ID))
		}, want: "CONSENT_UNREACHABLE"},
		"consent is away":            {between: func(d *desk, _ waits) { d.gate.no = fault.Unavailable("away") }, want: "CONSENT_UNREACHABLE"},
		"another key":                {between: func(d *desk, _ waits) { d.newKey("k2") }, sign: "k2", want: anew},
		"another key, and withdrawn": {between: func(d *desk, p waits) { d.newKey("k2"); withdrawn(d, p) }, sign: "k2", want: again},
		"the person was forgotten": {between: func(d *desk, p waits) {
			withdrawn(d, p)
			d.must(d.Keys.Forget(d.t.Context(), p.who.ID, eventv1.Retention_RETENTION_CONTENT))
		}, want: "AGREEMENT_ENDED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := begin(t, 1)
			who, deal := d.takes()
			p := d.prepares(who, deal, 1)
			lost, err := d.sign(t.Context(), p, "k1")
			d.must(err)
			if !d.opens(p, lost) {
				t.Fatal("the answer does not open the package")
			}
			tc.between(d, p)
			sign := "k1"
			if tc.sign != "" {
				sign = tc.sign
			}
			got, err := d.sign(t.Context(), p, sign)
			same := bytes.Equal(got.GetSealedKey(), lost.GetSealedKey()) && bytes.Equal(got.GetReleaseEventId(), lost.GetReleaseEventId())
			switch tc.want {
			case anew:
				// For the key that the package is meant for, which a rotation changes by an event of its own.
				if err != nil || same || !d.opens(p, got) || d.gate.permits[p.delivery.ID] != 2 {
					t.Errorf("asked again: %v, %v, the same %v, %d permits", got, err, same, d.gate.permits[p.delivery.ID])
				}
			case again:
				if err != nil || !same || !d.opens(p, got) || got.GetKeyId() != "k1" || d.gate.permits[p.delivery.ID] != max(1, permitted[name]) {
					t.Errorf("asked again: %v, %v, the same %v, %d permits", got, err, same, d.gate.permits[p.delivery.ID])
				}
			default:
				if fault.ReasonOf(err) != tc.want || got != nil {
					t.Errorf("asked again: %v, %v, want %s", got, err, tc.want)
				}
			}
			if n := d.released(p); n != 1 {
				t.Errorf("it is charged %d times", n)
			}
		})
	}
}

// TestAReceiptOfManyFailsAlone: those beside it, and those after it on the stream, are answered.
func TestAReceiptOfManyFailsAlone(t *testing.T) {
	t.Parallel()
	d := begin(t, 1)
	who, deal := d.takes()
	var signed []*deliveryv1.SignReceiptRequest
	for day := range 2 {
		p := d.prepares(who, deal, day+1)
		signed = append(signed, &deliveryv1.SignReceiptRequest{
			BuyerId: d.buyer.String(), DeliveryId: p.delivery.String(), Digest: p.digest[:], KeyId: "k1",
			Signature: parcel.SignReceipt(d.keys["k1"].Signer, p.delivery.ID, p.digest),
		})
	}
	foreign := proto.CloneOf(signed[0])
	foreign.BuyerId = id.Random().String()
	unknown := proto.CloneOf(signed[0])
	unknown.DeliveryId = id.Random().String()
	in := &deliveryv1.SignReceiptsRequest{BuyerId: d.buyer.String(), Receipts: []*deliveryv1.SignReceiptRequest{signed[0], foreign, unknown, signed[1]}}
	s := &receipts{ctx: t.Context(), in: []*deliveryv1.SignReceiptsRequest{in, in}}
	d.must(d.SignReceipts(s))
	if len(s.out) != 2 {
		t.Fatalf("%d messages are answered", len(s.out))
	}
	for _, out := range s.out {
		a := out.GetReceipts()
		if a[0].GetKey() == nil || a[3].GetKey() == nil || a[1].GetKey() != nil || a[1].GetCode() != uint32(codes.InvalidArgument) ||
			a[2].GetRefused() != deliveryv1.Reason_REASON_DELIVERY_UNKNOWN {
			t.Errorf("%v", a)
		}
	}
}

// receipts is a buyer's stream of them.
type receipts struct {
	grpc.ServerStream
	ctx context.Context
	in  []*deliveryv1.SignReceiptsRequest
	out []*deliveryv1.SignReceiptsResponse
}

func (s *receipts) Context() context.Context { return s.ctx }

func (s *receipts) Recv() (*deliveryv1.SignReceiptsRequest, error) {
	if len(s.in) == 0 {
		return nil, io.EOF
	}
	in := s.in[0]
	s.in = s.in[1:]
	return in, nil
}

func (s *receipts) Send(out *deliveryv1.SignReceiptsResponse) error {
	s.out = append(s.out, out)
	return nil
}

// TestTheSecondIsOverAfterTheRecord: the release was recorded, and the second passed before the answer was on its way. It is withheld; and
// comes, when the consent has ended since, as it was recorded.
func TestTheSecondIsOverAfterTheRecord(t *testing.T) {
	t.Parallel()
	d := begin(t, 1)
	who, deal := d.takes()
	p := d.prepares(who, deal, 1)
	var ticks []time.Duration
	d.Tick = func() time.Time {
		if len(ticks) == 0 {
			return time.Unix(2, 0)
		}
		at := time.Unix(0, int64(ticks[0]))
		ticks = ticks[1:]
		return at
	}
	ticks = []time.Duration{0, time.Millisecond, time.Millisecond} // asked, answered, recorded
	if got, err := d.sign(t.Context(), p, "k1"); fault.ReasonOf(err) != "CONSENT_UNREACHABLE" || got != nil {
		t.Errorf("a key after the second: %v, %v", got, err)
	}
	if n := d.released(p); n != 1 {
		t.Fatalf("%d releases are recorded", n)
	}
	d.gate.no = no("WITHDRAWN")
	if got, err := d.sign(t.Context(), p, "k1"); err != nil || !d.opens(p, got) {
		t.Errorf("asked again: %v, %v", got, err)
	}
	if n := d.released(p); n != 1 {
		t.Errorf("it is charged %d times", n)
	}
}

// TestBetweenPermitAndRelease: the gate had said yes, and the process ended before the release was recorded. Nothing is charged; who asks
// again asks the gate again, and is charged once where it says yes; where it says no nothing was ever released, and nothing comes.
func TestBetweenPermitAndRelease(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]error{"the consent lives": nil, "withdrawn": no("WITHDRAWN"), "expired": no("EXPIRED")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := begin(t, 1)
			who, deal := d.takes()
			p := d.prepares(who, deal, 1)
			dying, end := context.WithCancel(t.Context())
			d.gate.then = end
			if got, err := d.sign(dying, p, "k1"); err == nil {
				t.Fatalf("a process that ended answers %v", got)
			}
			if d.released(p) != 0 || d.gate.permits[p.delivery.ID] != 1 {
				t.Fatalf("%d releases after %d permits", d.released(p), d.gate.permits[p.delivery.ID])
			}
			d.gate.then, d.gate.no = nil, after
			got, err := d.sign(t.Context(), p, "k1")
			if after != nil {
				if fault.ReasonOf(err) != fault.ReasonOf(after) || got != nil || d.released(p) != 0 {
					t.Errorf("what never left comes as %v, %v, and is charged %d times", got, err, d.released(p))
				}
				return
			}
			if err != nil || !d.opens(p, got) || d.released(p) != 1 || d.gate.permits[p.delivery.ID] != 2 {
				t.Errorf("asked again: %v, %v, charged %d times", got, err, d.released(p))
			}
		})
	}
}
