package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
)

// TestWhatTellsOfAPersonIsSealed: language, country, audience and the fields granted are in no event but sealed, whoever decides reads the
// rest without keys and comes to the same states, and forgetting leaves nothing.
func TestWhatTellsOfAPersonIsSealed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keks, err := vault.NewKEKs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
	ring, err := keys.Ring(ctx, person.ID)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := keys.Ring(ctx, named("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	l := granted()
	l.Country, l.Fields = "CANARY-COUNTRY", []*marketv1.GrantedField{{Id: "CANARY-field", Rung: "exact"}}
	l.Predicates = []*marketv1.Predicate{{Fact: "CANARY-fact", Bands: []string{"low"}}}
	events := []bid.Event{
		bid.Presented{Bid: number, Offer: offer, Subscriber: person, Notice: "1", Language: "CANARY-language", Card: card},
		bid.Accepted{
			Bid: number, Offer: offer, Subscriber: person, Agreement: deal, Card: card, Slots: 5, Licence: Licence(licence(Licence(l), deal, 5)), ExplicitStep: when,
			AnswerDue: when,
		},
	}
	rules, on := Bids(), Stream(bid.On{Bid: number, Offer: offer})
	var open, shut bid.State
	var stored []*es.Record
	for i, e := range events {
		event := named("event")
		meta := &eventv1.Meta{EventId: event[:], RecordedAt: when.UnixMicro(), Policy: &eventv1.PolicyRef{Pack: "CANARY-PACK", Version: "1"}}
		h := &es.Header{ID: event, Stream: on, Version: es.Version(i + 1), At: when, Meta: meta}
		typ, data, err := rules.Encode(e, h, ring)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("CANARY")) {
			t.Errorf("%s shows what tells of the person: %q", typ, data)
		}
		if m := new(offersv1.Event); proto.Unmarshal(data, m) != nil || m.GetOfferAccepted().GetExplicitStepAt() != 0 {
			t.Errorf("%s shows the explicit step", typ)
		}
		r := &es.Record{ID: h.ID, Stream: h.Stream, Version: h.Version, Type: typ, Data: data}
		stored = append(stored, r)
		back, err := rules.Decode(r, ring)
		if diff := cmp.Diff(e, back); diff != "" || err != nil {
			t.Errorf("%s does not come back: %v\n%s", typ, err, diff)
		}
		m, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if forgotten, err := Open(m, r, ring); err != nil || forgotten || m.GetMeta().GetPersonalPolicy().GetPack() != "CANARY-PACK" {
			t.Errorf("%s followed %v, %v", typ, m.GetMeta(), err)
		}
		open = rules.Evolve(open, on, es.Entry[bid.Event]{Stream: on, Event: back})
		for name, keys := range map[string]any{"no keys": nil, "a stranger's": stranger} {
			bare, err := rules.Decode(r, keys)
			if err != nil {
				t.Fatalf("%s cannot be read with %s: %v", typ, name, err)
			}
			if got := rules.Evolve(shut, on, es.Entry[bid.Event]{Stream: on, Event: bare}); got != open {
				t.Errorf("with %s it comes to %+v, not %+v", name, got, open)
			}
		}
		shut = open
		moved := *r
		moved.Version++
		if _, err := rules.Decode(&moved, ring); err == nil {
			t.Errorf("%s opens at another version", typ)
		}
	}
	if row, err := encodeState(open); err != nil || bytes.Contains(row, []byte("CANARY")) {
		t.Errorf("the state's row is %q, %v", row, err)
	}
	if err := keys.Forget(ctx, person.ID, eventv1.Retention_RETENTION_CONSENT_PROOF); err != nil {
		t.Fatal(err)
	}
	forgotten, err := keys.Ring(ctx, person.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range stored {
		switch e, err := rules.Decode(r, forgotten); e := e.(type) {
		case bid.Presented:
			if e.Language != "" || err != nil {
				t.Errorf("the language is still known: %+v, %v", e, err)
			}
		case bid.Accepted:
			if e.Licence != nil || !e.ExplicitStep.IsZero() || e.Agreement != deal || err != nil {
				t.Errorf("it reads as %+v, %v", e, err)
			}
		default:
			t.Errorf("%s cannot be read any more: %v", r.Type, err)
		}
	}
}
