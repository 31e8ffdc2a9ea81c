package wire

import (
	"fmt"
	"maps"
	"slices"

	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
)

// held gives the contract's form of an event of a holding.
func held(e holding.Event) *deliveryv1.Event {
	switch e := e.(type) {
	case holding.Connected:
		return &deliveryv1.Event{Event: &deliveryv1.Event_SourceConnected{SourceConnected: &deliveryv1.SourceConnected{
			SourceId: e.Source.String(), SubscriberId: e.Holding.String(), Importer: e.Importer, Route: deliveryv1.Route(e.Route),
		}}}
	case holding.Imported:
		return &deliveryv1.Event{Event: &deliveryv1.Event_DataImported{DataImported: &deliveryv1.DataImported{
			ImportId: e.Import.String(), SubscriberId: e.Holding.String(), SourceId: e.Source.String(), Route: deliveryv1.Route(e.Route),
			Assurance: marketv1.Assurance(e.Route.Assurance()), Zone: e.Zone, Fingerprint: e.Fingerprint, ImporterVersion: e.Importer,
			FileSha256: e.File[:], Arrivals: ArrivalsProto(e.Arrivals), RepeatedPoints: uint32(e.Repeated),
		}}}
	case holding.Derived:
		m := &deliveryv1.FactsDerived{SubscriberId: e.Holding.String(), RuleVersion: uint32(e.Rules)}
		for _, fact := range slices.Sorted(maps.Keys(e.Facts)) {
			m.Facts = append(m.Facts, &deliveryv1.Fact{Id: fact, Band: e.Facts[fact]})
		}
		return &deliveryv1.Event{Event: &deliveryv1.Event_FactsDerived{FactsDerived: m}}
	case holding.Corrected:
		m := &deliveryv1.PointCorrected{
			SubscriberId: e.Holding.String(), PointId: e.Point.String(), Supersedes: e.Supersedes.String(), Schema: e.Schema, Day: e.Day,
		}
		if !e.Source.IsZero() {
			m.SourceId = e.Source.String()
		}
		for _, d := range e.Deliveries {
			m.DeliveryIds = append(m.DeliveryIds, d.String())
		}
		return &deliveryv1.Event{Event: &deliveryv1.Event_PointCorrected{PointCorrected: m}}
	case holding.Restricted:
		return &deliveryv1.Event{Event: &deliveryv1.Event_SourceRestricted{SourceRestricted: &deliveryv1.SourceRestricted{
			SourceId: e.Source.String(), SubscriberId: e.Holding.String(),
		}}}
	case holding.Lifted:
		return &deliveryv1.Event{Event: &deliveryv1.Event_RestrictionLifted{RestrictionLifted: &deliveryv1.RestrictionLifted{
			SourceId: e.Source.String(), SubscriberId: e.Holding.String(),
		}}}
	case holding.Disconnected:
		return &deliveryv1.Event{Event: &deliveryv1.Event_SourceDisconnected{SourceDisconnected: &deliveryv1.SourceDisconnected{
			SourceId: e.Source.String(), SubscriberId: e.Holding.String(),
		}}}
	case holding.Reconnected:
		return &deliveryv1.Event{Event: &deliveryv1.Event_SourceReconnected{SourceReconnected: &deliveryv1.SourceReconnected{
			SourceId: e.Source.String(), SubscriberId: e.Holding.String(),
		}}}
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

// ArrivalsProto gives the contract's form of what was new.
func ArrivalsProto(list []holding.Arrival) []*deliveryv1.Arrival {
	out := make([]*deliveryv1.Arrival, 0, len(list))
	for _, a := range list {
		out = append(out, &deliveryv1.Arrival{Schema: a.Schema, Points: uint32(a.Points), Days: &marketv1.Days{First: a.First, Last: a.Last}})
	}
	return out
}

// ids reads the ids of one message and keeps the first fault.
type ids struct{ err error }

func (r *ids) read(field, s string) id.ID {
	v, err := id.Parse(s)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("wire: %s: %w", field, err)
	}
	return v
}

// sealed reads an id that may be forgotten, or of before there was such a field: it is nothing then.
func (r *ids) sealed(field, s string) (none id.ID) {
	if s == "" {
		return none
	}
	return r.read(field, s)
}

// holds reads an event of a holding; nil where the arm is not one.
func holds(m *deliveryv1.Event) (holding.Event, error) {
	var r ids
	who := func(s string) holding.ID { return holding.ID{ID: r.read("subscriber_id", s)} }
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_SourceConnected:
		e := arm.SourceConnected
		return holding.Connected{
			Holding: who(e.GetSubscriberId()), Source: holding.SourceID{ID: r.read("source_id", e.GetSourceId())},
			Importer: e.GetImporter(), Route: holding.Route(e.GetRoute()),
		}, r.err
	case *deliveryv1.Event_DataImported:
		e := arm.DataImported
		out := holding.Imported{
			Holding: who(e.GetSubscriberId()), Import: holding.ImportID{ID: r.read("import_id", e.GetImportId())},
			Source: holding.SourceID{ID: r.read("source_id", e.GetSourceId())}, Route: holding.Route(e.GetRoute()), Zone: e.GetZone(),
			Fingerprint: e.GetFingerprint(), Importer: e.GetImporterVersion(), Repeated: int(e.GetRepeatedPoints()),
		}
		copy(out.File[:], e.GetFileSha256())
		for _, a := range e.GetArrivals() {
			out.Arrivals = append(out.Arrivals, holding.Arrival{
				Schema: a.GetSchema(), Points: int(a.GetPoints()), First: a.GetDays().GetFirst(), Last: a.GetDays().GetLast(),
			})
		}
		return out, r.err
	case *deliveryv1.Event_FactsDerived:
		e := arm.FactsDerived
		out := holding.Derived{Holding: who(e.GetSubscriberId()), Rules: int(e.GetRuleVersion())}
		for _, f := range e.GetFacts() {
			if out.Facts == nil {
				out.Facts = map[string]string{}
			}
			out.Facts[f.GetId()] = f.GetBand()
		}
		return out, r.err
	case *deliveryv1.Event_PointCorrected:
		e := arm.PointCorrected
		out := holding.Corrected{
			Holding: who(e.GetSubscriberId()), Point: holding.PointID{ID: r.sealed("point_id", e.GetPointId())},
			Supersedes: holding.PointID{ID: r.sealed("supersedes", e.GetSupersedes())}, Source: holding.SourceID{ID: r.sealed("source_id", e.GetSourceId())},
			Schema: e.GetSchema(), Day: e.GetDay(),
		}
		for _, d := range e.GetDeliveryIds() {
			out.Deliveries = append(out.Deliveries, r.read("delivery_ids", d))
		}
		return out, r.err
	}
	return r.source(m)
}

// source reads what a person asked of a source.
func (r *ids) source(m *deliveryv1.Event) (holding.Event, error) {
	of := func(who, source string) (holding.ID, holding.SourceID) {
		return holding.ID{ID: r.read("subscriber_id", who)}, holding.SourceID{ID: r.read("source_id", source)}
	}
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_SourceRestricted:
		who, source := of(arm.SourceRestricted.GetSubscriberId(), arm.SourceRestricted.GetSourceId())
		return holding.Restricted{Holding: who, Source: source}, r.err
	case *deliveryv1.Event_RestrictionLifted:
		who, source := of(arm.RestrictionLifted.GetSubscriberId(), arm.RestrictionLifted.GetSourceId())
		return holding.Lifted{Holding: who, Source: source}, r.err
	case *deliveryv1.Event_SourceDisconnected:
		who, source := of(arm.SourceDisconnected.GetSubscriberId(), arm.SourceDisconnected.GetSourceId())
		return holding.Disconnected{Holding: who, Source: source}, r.err
	case *deliveryv1.Event_SourceReconnected:
		who, source := of(arm.SourceReconnected.GetSubscriberId(), arm.SourceReconnected.GetSourceId())
		return holding.Reconnected{Holding: who, Source: source}, r.err
	}
	return nil, r.err
}
