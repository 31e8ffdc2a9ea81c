package react_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// paused is a consent service that lets nothing be read, and notes of which agreements it was asked.
type paused struct {
	consentv1.ConsentServiceClient
	asked []string
	heard []*eventv1.Cursor
}

func (p *paused) Check(_ context.Context, r *consentv1.CheckRequest, _ ...grpc.CallOption) (*consentv1.CheckResponse, error) {
	p.asked, p.heard = append(p.asked, r.GetAgreementId()), append(p.heard, r.GetAfter())
	return &consentv1.CheckResponse{Reason: consentv1.Reason_REASON_PAUSED}, nil
}

// TestAnImportIsForWhatTheLogKnows: an import is looked at for every agreement that is in the log by then, whatever the tables have
// seen, and for none that has ended.
func TestAnImportIsForWhatTheLogKnows(t *testing.T) {
	t.Parallel()
	s := begin(t)
	consent := new(paused)
	s.clock.Packer = &packing.Packer{Shelves: s.clock.Shelves, Keys: s.clock.Keys, Consent: consent}
	var deals []shelf.AgreementID
	for range 3 {
		deal := shelf.AgreementID{ID: id.Random()}
		deals = append(deals, deal)
		document, err := proto.Marshal(&marketv1.Licence{AgreementId: deal.String()})
		s.must(err)
		s.do(shelf.Take{Cleared: true, Document: document, Licence: shelf.Licence{
			Agreement: deal, Subscriber: s.who, Slots: 5, First: 1, Last: 30, Cadence: shelf.Daily,
		}})
	}
	s.do(shelf.End{Shelf: shelf.Of(s.who), Agreement: deals[1], Reason: shelf.EndWithdrawn})
	data, err := proto.Marshal(&deliveryv1.Event{Event: &deliveryv1.Event_DataImported{DataImported: &deliveryv1.DataImported{SubscriberId: s.who.String()}}})
	s.must(err)
	s.must(s.clock.Handle(t.Context(), &bus.Received{Record: es.Record{ID: id.Random(), Type: "data_imported", Data: data}}))
	want := []string{deals[0].String(), deals[2].String()}
	slices.Sort(want)
	if !slices.Equal(consent.asked, want) {
		t.Errorf("the import was looked at for %v, want %v", consent.asked, want)
	}
}
