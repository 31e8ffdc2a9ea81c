package rpc

import (
	"cmp"
	"context"
	"slices"

	"github.com/obole-market/obole/pkg/catalog"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// A place in a person's measurements is a day and how many of its points came before, in one number.
const placeBits = 32

// ListPoints reads a person's own measurements, day after day and within a day by time.
func (s *Server) ListPoints(ctx context.Context, r *deliveryv1.ListPointsRequest) (*deliveryv1.ListPointsResponse, error) {
	schemas := point.Schemas()
	if r.GetSchema() != "" {
		one, err := schemaOf(r.GetSchema())
		if err != nil {
			return nil, err
		}
		schemas = []point.Schema{one}
	}
	ring, err := s.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	list := "points/" + ring.Subject().String() + "/" + r.GetSchema()
	place, err := from(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	first := r.GetDays().GetFirst()
	if place != 0 {
		first = max(first, shelf.Day(place>>placeBits).String())
	}
	person, err := s.Store.Person(ctx, ring, first, r.GetDays().GetLast())
	if err != nil {
		return nil, err
	}
	limit := page(r.GetPageSize(), 1000)
	out := new(deliveryv1.ListPointsResponse)
	for _, text := range person.Measured(schemas, first, r.GetDays().GetLast()) {
		day, err := stored(text)
		if err != nil {
			return nil, err
		}
		all, err := s.Store.Whole(ctx, ring, person, schemas, []string{text})
		if err != nil {
			return nil, err
		}
		points, corrected := apart(all)
		inOrder(points)
		skip := 0
		if int64(day) == place>>placeBits {
			skip = int(place & (1<<placeBits - 1))
		}
		// The points of a day, then those of it that were superseded: a page has so many of both together.
		for i := skip; i < len(points)+len(corrected); i++ {
			if len(out.Points)+len(out.Superseded) == limit {
				out.NextPageToken, err = token(list, int64(day)<<placeBits|int64(i))
				return out, err
			}
			if i < len(points) {
				out.Points = append(out.Points, points[i].AppendJSON(nil))
			} else {
				out.Superseded = append(out.Superseded, supersededProto(corrected[i-len(points)]))
			}
		}
	}
	return out, nil
}

func supersededProto(p *point.Point) *deliveryv1.Superseded {
	return &deliveryv1.Superseded{Point: p.AppendJSON(nil), By: p.SupersededBy.String()}
}

// documents are the schemas of an export.
func documents(schemas []point.Schema) ([]*deliveryv1.SchemaDocument, error) {
	list, err := source.Documents(schemas)
	if err != nil {
		return nil, err
	}
	out := make([]*deliveryv1.SchemaDocument, 0, len(list))
	for _, d := range list {
		out = append(out, &deliveryv1.SchemaDocument{Uri: d.URI, Schema: d.Schema, Document: d.JSON})
	}
	return out, nil
}

// GetFacts tells offers what the rules say of a person, and of which products there are slots.
func (s *Server) GetFacts(ctx context.Context, r *deliveryv1.GetFactsRequest) (*deliveryv1.GetFactsResponse, error) {
	who, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return nil, err
	}
	state, _, err := s.Holdings.State(ctx, wire.HoldingStream(holding.On{Holding: holding.ID{ID: who}}), ring)
	if err != nil {
		return nil, err
	}
	out := new(deliveryv1.GetFactsResponse)
	if h, ok := state.(holding.Holding); ok && h.Rules == minimise.FactsVersion {
		for fact, band := range h.Facts {
			out.Facts = append(out.Facts, &deliveryv1.Fact{Id: fact, Band: band})
		}
		slices.SortFunc(out.Facts, func(a, b *deliveryv1.Fact) int { return cmp.Compare(a.GetId(), b.GetId()) })
	}
	out.Stock, err = s.stock(ctx, ring)
	return out, err
}

// band is what audiences are rounded down to: nobody learns of fewer people.
const band = 50

// EstimateAudience counts people of whom there are slots and all predicates hold. It does not know who has turned matching
// off, so it is an upper bound.
func (s *Server) EstimateAudience(ctx context.Context, r *deliveryv1.EstimateAudienceRequest) (*deliveryv1.EstimateAudienceResponse, error) {
	sets := [][]string{{store.ProductLabel(r.GetTerms().GetProduct().GetId())}}
	for _, p := range r.GetTerms().GetPredicates() {
		var labels []string
		for _, b := range p.GetBands() {
			labels = append(labels, store.FactLabel(p.GetFact(), b))
		}
		sets = append(sets, labels)
	}
	n, err := s.Store.Reach(ctx, sets)
	if err != nil {
		return nil, err
	}
	return &deliveryv1.EstimateAudienceResponse{People: uint32(n / band * band)}, nil
}

// DescribeProduct gives a product's schema and a synthetic sample.
func (s *Server) DescribeProduct(_ context.Context, r *deliveryv1.DescribeProductRequest) (*deliveryv1.DescribeProductResponse, error) {
	p, ok := s.Catalog.Product(r.GetProduct().GetId(), r.GetProduct().GetVersion())
	if !ok {
		return nil, errProduct.And("product", "is not in the catalogue")
	}
	schema, err := minimise.Schema(&p, nil)
	if err != nil {
		return nil, err
	}
	sample, err := minimise.Sample(&p)
	if err != nil {
		return nil, err
	}
	return &deliveryv1.DescribeProductResponse{Product: product(p), JsonSchema: schema, Sample: sample}, nil
}

// ListProducts lists the catalogue.
func (s *Server) ListProducts(_ context.Context, r *deliveryv1.ListProductsRequest) (*deliveryv1.ListProductsResponse, error) {
	place, err := from("products", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	all := s.Catalog.Products()
	first := min(int(place), len(all))
	last := min(first+page(r.GetPageSize(), 100), len(all))
	out := new(deliveryv1.ListProductsResponse)
	for _, p := range all[first:last] {
		out.Products = append(out.Products, product(p))
	}
	if first == 0 {
		for _, f := range s.Catalog.Facts() {
			out.Facts = append(out.Facts, &deliveryv1.AudienceFact{Id: f.ID, Description: f.Description, Health: f.Health, Bands: f.Bands})
		}
	}
	if last < len(all) {
		out.NextPageToken, err = token("products", int64(last))
	}
	return out, err
}

func product(p catalog.Product) *deliveryv1.Product {
	out := &deliveryv1.Product{
		Ref: &marketv1.ProductRef{Id: p.ID, Version: p.Version}, Description: p.Description, Slot: p.Slot, Validity: p.Validity,
		Purposes: p.Purposes, CohortMin: uint32(p.CohortMin), Health: p.Health,
	}
	for _, f := range p.Fields {
		field := &deliveryv1.ProductField{Id: f.ID, Description: f.Description, Unit: f.Unit, Categories: f.Categories}
		for _, r := range f.Rungs {
			field.Rungs = append(field.Rungs, &deliveryv1.Rung{Id: r.ID, Description: r.Description})
		}
		out.Fields = append(out.Fields, field)
	}
	return out
}
