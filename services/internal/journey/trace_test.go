package journey

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"

	"github.com/obole-market/obole/pkg/boot"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// within gives a context whose calls belong to a trace.
func within(ctx context.Context) context.Context {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return metadata.AppendToOutgoingContext(ctx, "traceparent", carrier["traceparent"])
}

// TestOneTraceFromBidToPosting: whoever follows one bid's trace sees its calls, its statements and its events' reactions in all
// four services, down to the posting.
func TestOneTraceFromBidToPosting(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	f := openFull(t, func(c *boot.Config) { c.Seams.Spans = spans })
	f.opens(100_00)
	who := participants(t, "dailyActivity_merged.csv")
	people := make([]*holder, 5)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring("dailyActivity_merged.csv", who[i], nil)
		f.must(err)
	}
	provider := sdktrace.NewTracerProvider()
	ctx, root := provider.Tracer("test").Start(t.Context(), "a study buys")
	ctx = within(ctx)
	r, err := f.bids.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: f.bid(25, 5), IdempotencyKey: "traced"})
	f.must(err)
	f.comesTo(r.GetBidId(), offersv1.BidState_BID_STATE_OPEN)
	for _, p := range people {
		for _, o := range p.list().GetOffers() {
			_, err := p.offers.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
				SubscriberId: p.id.String(), OfferId: o.GetOfferId(), BidId: r.GetBidId(), CardSha256: o.GetCardSha256(), ExplicitStep: true, IdempotencyKey: "a",
			})
			f.must(err)
		}
	}
	f.Eventually("five packages", func() bool { return len(f.waiting(r.GetBidId(), prepared)) == 5 })
	for _, d := range f.waiting(r.GetBidId(), prepared) {
		f.Eventually("a key", func() bool {
			_, err := f.packages.SignReceipt(ctx, f.receipt(d))
			return err == nil
		})
	}
	for _, p := range people {
		f.Eventually("the posting", func() bool { return p.available() == 20 })
	}
	root.End()

	want := map[string][]string{
		offers.Name:     {"obole.offers.v1.OffersService/PlaceBid", "react funds_held", "obole.offers.v1.OffersService/AcceptOffer", "react consent_given"},
		consent.Name:    {"react offer_accepted", "obole.consent.v1.ConsentService/Release"},
		delivery.Name:   {"react agreement_formed", "obole.delivery.v1.DeliveryService/SignReceipt"},
		settlement.Name: {"react bid_placed", "react agreement_formed", "react delivery_released"},
	}
	seen := map[string]map[string]bool{}
	f.Eventually("the spans to have ended", func() bool {
		for _, s := range spans.GetSpans() {
			if s.SpanContext.TraceID() != root.SpanContext().TraceID() {
				continue
			}
			service := ""
			for _, a := range s.Resource.Attributes() {
				if a.Key == "service.name" {
					service = a.Value.AsString()
				}
			}
			if seen[service] == nil {
				seen[service] = map[string]bool{}
			}
			seen[service][s.Name] = true
		}
		for service, names := range want {
			for _, name := range names {
				if !seen[service][name] {
					return false
				}
			}
		}
		return true
	})
	statements := 0
	for name := range seen[delivery.Name] {
		if strings.HasPrefix(name, "query ") || strings.HasPrefix(name, "batch") || strings.HasPrefix(name, "pool") {
			statements++
		}
	}
	if statements == 0 {
		t.Errorf("no statement of PostgreSQL is in the trace: %v", seen[delivery.Name])
	}
	// The log itself names the trace: the posting's event carries it.
	var posted bool
	stream, err := f.finance.ReplayEvents(t.Context(), &settlementv1.ReplayEventsRequest{})
	f.must(err)
	for {
		m, err := stream.Recv()
		if err != nil {
			break
		}
		for _, e := range m.GetEvents() {
			posted = posted || e.GetType() == "delivery_settled" && bytes.Contains(e.GetMeta(), traceBytes(root.SpanContext().TraceID()))
		}
	}
	if !posted {
		t.Error("no posting's event carries the trace")
	}
}

func traceBytes(id [16]byte) []byte { return id[:] }
