package rpc

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// GetSummary says what is held about a person.
func (s *Server) GetSummary(ctx context.Context, r *deliveryv1.GetSummaryRequest) (*deliveryv1.GetSummaryResponse, error) {
	ring, err := s.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	sources, err := s.sources(ctx, ring.Subject())
	if err != nil {
		return nil, err
	}
	came, err := s.Store.Arrived(ctx, ring, sources)
	if err != nil {
		return nil, err
	}
	person, err := s.Store.Person(ctx, ring, "", "")
	if err != nil {
		return nil, err
	}
	out := new(deliveryv1.GetSummaryResponse)
	for _, schema := range point.Schemas() {
		days := person.Measured([]point.Schema{schema}, "", "")
		if len(days) == 0 {
			continue
		}
		c := &deliveryv1.Category{
			Schema: schema.String(), Days: &marketv1.Days{First: days[0], Last: days[len(days)-1]}, MeasuredDays: uint32(len(days)),
		}
		for _, m := range schema.Measures() {
			c.Quantities = append(c.Quantities, &deliveryv1.Quantity{Measure: m.Key(), Unit: m.Unit()})
		}
		for _, source := range sources {
			for _, a := range came[source] {
				if a.Schema == c.GetSchema() && a.Points > 0 {
					c.Points += uint64(a.Points)
					c.Shares = append(c.Shares, &deliveryv1.Share{
						SourceId: source.String(), Points: uint64(a.Points), Days: &marketv1.Days{First: a.First, Last: a.Last},
					})
				}
			}
		}
		for _, p := range s.Catalog.Products() {
			reads, err := minimise.Schemas(&p)
			if err != nil {
				return nil, err
			}
			if slices.Contains(reads, schema) && !slices.Contains(c.Products, p.ID) {
				c.Products = append(c.Products, p.ID)
			}
		}
		out.Categories = append(out.Categories, c)
	}
	slices.SortFunc(out.Categories, func(a, b *deliveryv1.Category) int { return cmp.Compare(a.GetSchema(), b.GetSchema()) })
	out.Stock, err = s.stock(ctx, ring)
	return out, err
}

// sources are a person's, in the order in which they were connected.
func (s *Server) sources(ctx context.Context, who id.ID) (out []id.ID, err error) {
	const batch = 1000
	var after view.Place
	for more := true; more; {
		rows, err := s.View.Sources(ctx, who, after, batch)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			out = append(out, rows[i].ID)
			after = view.Place{At: rows[i].Event.At, ID: rows[i].ID}
		}
		more = len(rows) == batch
	}
	return out, nil
}

// stock says of which products there are slots.
func (s *Server) stock(ctx context.Context, ring *vault.Ring) (out []*deliveryv1.Stock, err error) {
	stock, err := s.Store.Stock(ctx, ring)
	if err != nil {
		return nil, err
	}
	for _, p := range s.Catalog.Products() {
		lot, some := stock[p.ID]
		if !some {
			continue
		}
		out = append(out, &deliveryv1.Stock{
			Product: p.ID, Days: &marketv1.Days{First: lot.First, Last: lot.Last}, ValidSlots: uint32(lot.Slots()),
			Assurance: marketv1.Assurance(lot.Strongest()),
		})
	}
	return out, nil
}

// exported is how many points a message of an export holds at most.
const exported = 500

// ExportPoints streams all of a person's own measurements.
func (s *Server) ExportPoints(r *deliveryv1.ExportPointsRequest, stream grpc.ServerStreamingServer[deliveryv1.ExportPointsResponse]) error {
	ctx := stream.Context()
	ring, err := s.reach(ctx, r)
	if err != nil {
		return err
	}
	person, err := s.Store.Person(ctx, ring, "", "")
	if err != nil {
		return err
	}
	out := new(deliveryv1.ExportPointsResponse)
	var used []point.Schema
	send := func() error {
		out.Sent += uint64(len(out.Points) + len(out.Superseded))
		err := stream.Send(out)
		out = &deliveryv1.ExportPointsResponse{Schema: out.GetSchema(), Sent: out.GetSent()}
		return err
	}
	full := func() error {
		if len(out.Points)+len(out.Superseded) < exported {
			return nil
		}
		return send()
	}
	for _, schema := range point.Schemas() {
		out.Schema = schema.String()
		err := s.byDay(ctx, ring, person, schema, "", "", func(_ shelf.Day, points, corrected []*point.Point) error {
			inOrder(points)
			for _, p := range points {
				out.Points = append(out.Points, p.AppendJSON(nil))
				if err := full(); err != nil {
					return err
				}
			}
			for _, p := range corrected {
				out.Superseded = append(out.Superseded, supersededProto(p))
				if err := full(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(out.Points) > 0 || len(out.Superseded) > 0 {
			used = append(used, schema)
			if err := send(); err != nil {
				return err
			}
		}
	}
	out.Schema, out.Last = "", true
	if out.Schemas, err = documents(used); err != nil {
		return err
	}
	return send()
}

// PreviewPackage makes the rows that would leave now under some terms. Another person stands in the pseudonym's place: the one that a buyer
// would see is made when something leaves, and not before.
func (s *Server) PreviewPackage(ctx context.Context, r *deliveryv1.PreviewPackageRequest) (*deliveryv1.PreviewPackageResponse, error) {
	p, err := s.previewed(r)
	if err != nil {
		return nil, err
	}
	ring, err := s.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	if p.agreement.Licence.Group.ID, err = s.group(ctx, r.GetBuyerId()); err != nil {
		return nil, err
	}
	person, err := s.Store.Person(ctx, ring, r.GetSlots().GetFirst(), r.GetSlots().GetLast())
	if err != nil {
		return nil, err
	}
	person = person.Usable()
	out := &deliveryv1.PreviewPackageResponse{Person: standIn.String()}
	out.ExpectedSlots = uint32(len(person.Measured(p.schemas, r.GetSlots().GetFirst(), r.GetSlots().GetLast())))
	var stock []shelf.Day
	for _, text := range person.Days(p.product.ID, point.Assurance(r.GetMinAssurance())) {
		day, err := stored(text)
		if err != nil {
			return nil, err
		}
		if day >= p.agreement.Licence.First && day <= p.agreement.Licence.Last {
			stock = append(stock, day)
		}
	}
	shelved, err := s.shelved(ctx, ring)
	if err != nil {
		return nil, err
	}
	out.ValidSlots = uint32(len(stock))
	for _, day := range shelved.Lots[shelf.Lot{Group: p.agreement.Licence.Group, Product: p.product.ID}] {
		if slices.Contains(stock, day) {
			out.TakenSlots++
		}
	}
	due, _ := p.agreement.Due(shelved, stock, s.Now())
	for _, day := range due {
		out.Slots = append(out.Slots, day.String())
	}
	points, err := s.Store.Points(ctx, ring, person, p.schemas, out.GetSlots())
	if err != nil {
		return nil, err
	}
	rows, n, err := minimise.Rows(&p.product, out.GetPerson(), p.grants, out.GetSlots(), points)
	if err != nil {
		return nil, err
	}
	out.Rows, out.RowCount, out.JsonSchema = rows, uint32(n), p.json
	return out, nil
}

// standIn is nobody's pseudonym, in the form of one.
var standIn = id.Derive([]byte("the person of a preview"))

// preview is a package that is not made.
type preview struct {
	product   catalog.Product
	schemas   []point.Schema
	grants    []minimise.Grant
	json      []byte
	agreement shelf.Agreement
}

// previewed reads the terms of a preview.
func (s *Server) previewed(r *deliveryv1.PreviewPackageRequest) (p preview, err error) {
	var known bool
	if p.product, known = s.Catalog.Product(r.GetProduct().GetId(), r.GetProduct().GetVersion()); !known {
		return p, errProduct.And("product", "is not in the catalogue")
	}
	if p.schemas, err = minimise.Schemas(&p.product); err != nil {
		return p, err
	}
	for _, f := range r.GetFields() {
		p.grants = append(p.grants, minimise.Grant{Field: f.GetId(), Rung: f.GetRung()})
	}
	if p.json, err = minimise.Schema(&p.product, p.grants); err != nil {
		return p, err // names the field
	}
	// Daily: whatever is there and over is due.
	p.agreement = shelf.Agreement{Cleared: true, Licence: shelf.Licence{Product: p.product.ID, Slots: int(r.GetMaxSlots()), Cadence: shelf.Daily}}
	if p.agreement.Licence.First, err = shelf.ParseDay(r.GetSlots().GetFirst()); err != nil {
		return p, fault.Invalid("slots.first", "is no day of the calendar")
	}
	if p.agreement.Licence.Last, err = shelf.ParseDay(r.GetSlots().GetLast()); err != nil || p.agreement.Licence.Last < p.agreement.Licence.First {
		return p, fault.Invalid("slots.last", "is no day of the calendar, or before the first")
	}
	return p, nil
}

// group is the one of a buyer that counts, as offers says: by it a slot is charged once.
func (s *Server) group(ctx context.Context, buyer string) (id.ID, error) {
	r, err := s.Offers.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: buyer})
	switch {
	case errors.Is(err, fault.KindNotFound):
		return id.ID{}, fault.Invalid("buyer_id", "is no buyer")
	case err != nil:
		return id.ID{}, fault.Unavailable("offers does not answer").Because(err)
	case r.GetBuyer().GetGroupId() == "":
		return id.ID{}, nil // it is not vetted, and has nothing yet
	}
	return id.Parse(r.GetBuyer().GetGroupId())
}

// shelved is what has left about a person, and waits to.
func (s *Server) shelved(ctx context.Context, ring *vault.Ring) (shelf.Shelf, error) {
	state, _, err := s.Shelves.State(ctx, wire.Stream(shelf.On{Shelf: shelf.Of(shelf.SubscriberID{ID: ring.Subject()})}), ring)
	out, _ := state.(shelf.Shelf)
	return out, err
}
