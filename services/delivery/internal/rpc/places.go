package rpc

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// GetHours gathers one quantity of a person's own measurements by hour and day of the week.
func (s *Server) GetHours(ctx context.Context, r *deliveryv1.GetHoursRequest) (*deliveryv1.GetHoursResponse, error) {
	schema, measure, err := quantityOf(r.GetSchema(), r.GetMeasure())
	if err != nil {
		return nil, err
	}
	if schema.IsNight() {
		return nil, fault.Invalid("schema", "is one of nights, which are of no hour")
	}
	if _, _, err := span(r.GetFirst(), r.GetLast()); err != nil {
		return nil, err
	}
	ring, person, err := s.within(ctx, r)
	if err != nil {
		return nil, err
	}
	w := week{schema: schema, measure: measure}
	err = s.byDay(ctx, ring, person, schema, r.GetFirst(), r.GetLast(), func(_ shelf.Day, points, _ []*point.Point) error {
		w.add(points)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w.made(), nil
}

// week is one being gathered, Monday first.
type week struct {
	schema  point.Schema
	measure point.Measure
	hours   [7 * 24]deliveryv1.Hour
	days    uint32
	points  uint32
	left    uint32
}

// add gathers a day's points.
func (w *week) add(points []*point.Point) {
	taken, left := once(w.schema, w.measure, points, true)
	if len(taken) == 0 {
		return
	}
	w.days++
	w.points += uint32(len(taken))
	w.left += uint32(left)
	for _, p := range taken {
		q, _ := p.Value(w.measure)
		h := &w.hours[weekday(p.Frame.Start)*24+p.Frame.Start.Hour()]
		h.Points++
		h.Sum += int64(q)
	}
}

// weekday is 0 on Monday.
func weekday(t time.Time) int { return (int(t.Weekday()) + 6) % 7 }

func (w *week) made() *deliveryv1.GetHoursResponse {
	out := &deliveryv1.GetHoursResponse{
		Measure: w.measure.Key(), Unit: w.measure.Unit(), AddsUp: w.measure.AddsUp(), Days: w.days, Points: w.points, Overlapped: w.left,
	}
	for i := range w.hours {
		if h := &w.hours[i]; h.GetPoints() > 0 {
			h.Weekday, h.Hour = uint32(i/24+1), uint32(i%24)
			out.Hours = append(out.Hours, h)
		}
	}
	return out
}

// GetPlaces gathers a person's own traffic data by cell.
func (s *Server) GetPlaces(ctx context.Context, r *deliveryv1.GetPlacesRequest) (*deliveryv1.GetPlacesResponse, error) {
	if _, _, err := span(r.GetFirst(), r.GetLast()); err != nil {
		return nil, err
	}
	ring, person, err := s.within(ctx, r)
	if err != nil {
		return nil, err
	}
	a := atlas{places: map[string]*haunt{}, others: map[id.ID]struct{}{}}
	for _, schema := range point.Schemas() {
		if !schema.IsTraffic() {
			continue
		}
		err := s.byDay(ctx, ring, person, schema, r.GetFirst(), r.GetLast(), func(day shelf.Day, points, _ []*point.Point) error {
			for _, p := range points {
				a.add(day, p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return a.made(s.Antennas), nil
}

// mostPlaces are named in one answer; somebody who is in so many cells travels, and a map of more says no more.
const mostPlaces = 1000

// atlas is a person's places, being gathered.
type atlas struct {
	places map[string]*haunt
	others map[id.ID]struct{}
	out    deliveryv1.GetPlacesResponse
}

// haunt is one of them.
type haunt struct {
	deliveryv1.Place
	days map[shelf.Day]struct{}
}

// add gathers a point of traffic data.
func (a *atlas) add(day shelf.Day, p *point.Point) {
	in := a.at(day, p.Contact.Cell)
	in.Points++
	switch v := p.Values[0]; p.Schema {
	case point.PhoneCall:
		in.Calls++
		a.out.Calls++
		a.out.Talked += int64(v.Quantity / point.Milli)
	case point.TextMessage:
		in.Messages++
		a.out.Messages++
	case point.CellVisit:
		in.Visits++
		in.Stayed += int64(v.Quantity / point.Milli)
	case point.DataUse:
		in.Data += int64(v.Quantity)
		a.out.Data += int64(v.Quantity)
	}
	if !p.Contact.Correspondent.IsZero() {
		a.others[p.Contact.Correspondent] = struct{}{}
	}
}

// at is the place of a cell on a day; "" is nowhere.
func (a *atlas) at(day shelf.Day, cell string) *haunt {
	in := a.places[cell]
	if in == nil {
		in = &haunt{days: map[shelf.Day]struct{}{}}
		in.Cell = cell
		a.places[cell] = in
	}
	in.days[day] = struct{}{}
	return in
}

func (a *atlas) made(antennas map[string]source.Antenna) *deliveryv1.GetPlacesResponse {
	if nowhere := a.places[""]; nowhere != nil {
		a.out.Nowhere = nowhere.GetPoints()
		delete(a.places, "")
	}
	a.out.Correspondents = uint32(len(a.others))
	for cell, in := range a.places {
		days := make([]shelf.Day, 0, len(in.days))
		for d := range in.days {
			days = append(days, d)
		}
		in.Days, in.Span = uint32(len(days)), &marketv1.Days{First: slices.Min(days).String(), Last: slices.Max(days).String()}
		if spot, known := antennas[cell]; known {
			in.Spot = &deliveryv1.Spot{Latitude: spot.Latitude, Longitude: spot.Longitude}
		}
		a.out.Places = append(a.out.Places, &in.Place)
	}
	slices.SortFunc(a.out.Places, func(x, y *deliveryv1.Place) int {
		return cmp.Or(cmp.Compare(y.GetPoints(), x.GetPoints()), cmp.Compare(x.GetCell(), y.GetCell()))
	})
	if n := len(a.out.GetPlaces()); n > mostPlaces {
		a.out.Places, a.out.More = a.out.Places[:mostPlaces], uint32(n-mostPlaces)
	}
	return &a.out
}
