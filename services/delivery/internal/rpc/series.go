package rpc

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

const (
	usualBuckets = 500
	longestRange = 3660 // days
	// stretch is how many days of points are held at a time.
	stretch = 31
	oneDay  = 24 * time.Hour
)

// widths are the parts of a day that divide it, longest first.
var widths = []time.Duration{
	12 * time.Hour, 8 * time.Hour, 6 * time.Hour, 4 * time.Hour, 3 * time.Hour, 2 * time.Hour, time.Hour, 30 * time.Minute, 20 * time.Minute,
	15 * time.Minute, 10 * time.Minute, 5 * time.Minute, 2 * time.Minute, time.Minute, 30 * time.Second, 15 * time.Second, 10 * time.Second,
	5 * time.Second, time.Second,
}

// width is the shortest of a bucket such that so many days fit into so many of them: whole days, or where parts make sense a part of one.
func width(days, buckets int, parts bool) time.Duration {
	if days >= buckets || !parts {
		return time.Duration((days+buckets-1)/buckets) * oneDay
	}
	out := oneDay
	for _, w := range widths {
		if days*int(oneDay/w) > buckets {
			break
		}
		out = w
	}
	return out
}

// series is one being gathered.
type series struct {
	schema  point.Schema
	measure point.Measure
	source  id.ID // zero means all
	first   shelf.Day
	width   time.Duration
	buckets []deliveryv1.Bucket
	days    []shelf.Day // that have a point
	out     *deliveryv1.GetSeriesResponse
}

// GetSeries gathers one quantity of a person's own measurements.
func (s *Server) GetSeries(ctx context.Context, r *deliveryv1.GetSeriesRequest) (*deliveryv1.GetSeriesResponse, error) {
	g, last, err := asked(r)
	if err != nil {
		return nil, err
	}
	ring, person, err := s.within(ctx, r)
	if err != nil {
		return nil, err
	}
	err = s.byDay(ctx, ring, person, g.schema, r.GetFirst(), r.GetLast(), func(day shelf.Day, points, _ []*point.Point) error {
		g.add(day, points)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g.made(last), nil
}

// asked reads what is to be gathered.
func asked(r *deliveryv1.GetSeriesRequest) (g *series, last shelf.Day, err error) {
	g = &series{out: new(deliveryv1.GetSeriesResponse)}
	if g.schema, g.measure, err = quantityOf(r.GetSchema(), r.GetMeasure()); err != nil {
		return nil, 0, err
	}
	if g.first, last, err = span(r.GetFirst(), r.GetLast()); err != nil {
		return nil, 0, err
	}
	days := int(last-g.first) + 1
	if r.GetSourceId() != "" {
		if g.source, err = parse("source_id", r.GetSourceId()); err != nil {
			return nil, 0, err
		}
	}
	g.width = width(days, page(r.GetBuckets(), usualBuckets), !g.schema.IsNight())
	g.buckets = make([]deliveryv1.Bucket, (time.Duration(days)*oneDay+g.width-1)/g.width)
	g.out.Measure, g.out.Unit, g.out.AddsUp, g.out.Width = g.measure.Key(), g.measure.Unit(), g.measure.AddsUp(), g.width.Microseconds()
	return g, last, nil
}

// schemaOf reads a schema's name.
func schemaOf(name string) (point.Schema, error) {
	schema, ok := point.ParseSchema(name)
	if !ok || !slices.Contains(point.Schemas(), schema) {
		return schema, fault.Invalid("schema", "is none of the schemas taken here")
	}
	return schema, nil
}

// quantityOf reads a schema's name and that of a measure in it, of which the first is meant where none is named.
func quantityOf(name, measure string) (schema point.Schema, _ point.Measure, err error) {
	if schema, err = schemaOf(name); err != nil {
		return schema, 0, err
	}
	measures := schema.Measures()
	if measure == "" {
		return schema, measures[0], nil
	}
	at := slices.IndexFunc(measures, func(m point.Measure) bool { return m.Key() == measure })
	if at < 0 {
		return schema, 0, fault.Invalid("measure", "is none of the schema's")
	}
	return schema, measures[at], nil
}

// span reads a first and a last day.
func span(from, to string) (first, last shelf.Day, err error) {
	if first, err = shelf.ParseDay(from); err != nil {
		return 0, 0, fault.Invalid("first", "is no day of the calendar")
	}
	if last, err = shelf.ParseDay(to); err != nil {
		return 0, 0, fault.Invalid("last", "is no day of the calendar")
	}
	if days := int(last-first) + 1; days < 1 || days > longestRange {
		return 0, 0, fault.Invalid("last", "must not be before the first, nor more than 3660 days after it")
	}
	return first, last, nil
}

// stored reads a day of our own store.
func stored(text string) (shelf.Day, error) {
	day, err := shelf.ParseDay(text)
	if err != nil {
		return 0, fault.Internal("a stored day is none")
	}
	return day, nil
}

// apart gives the points that count, and those that were corrected.
func apart(all []point.Point) (points, corrected []*point.Point) {
	for i := range all {
		if all[i].SupersededBy.IsZero() {
			points = append(points, &all[i])
		} else {
			corrected = append(corrected, &all[i])
		}
	}
	return points, corrected
}

// inOrder sorts a day's points by their time, and those of one time by their ids, so that a list goes on where it ended.
func inOrder(points []*point.Point) {
	slices.SortStableFunc(points, func(a, b *point.Point) int {
		return cmp.Or(a.Frame.Start.Compare(b.Frame.Start), slices.Compare(a.ID[:], b.ID[:]))
	})
}

// daily are points by their days.
func daily(points []*point.Point) map[string][]*point.Point {
	out := map[string][]*point.Point{}
	for _, p := range points {
		out[p.Day()] = append(out[p.Day()], p)
	}
	return out
}

// spanning is a request about a person from a first to a last day.
type spanning interface {
	personal
	GetFirst() string
	GetLast() string
}

// within is reach, with what is held of the person on the days asked for.
func (s *Server) within(ctx context.Context, r spanning) (*vault.Ring, store.Person, error) {
	ring, err := s.reach(ctx, r)
	if err != nil {
		return nil, store.Person{}, err
	}
	person, err := s.Store.Person(ctx, ring, r.GetFirst(), r.GetLast())
	return ring, person, err
}

// byDay reads a person's points of a schema some days at a time, and hands them over day by day, those that were corrected apart. They are good during the call only.
func (s *Server) byDay(
	ctx context.Context, ring *vault.Ring, person store.Person, schema point.Schema, first, last string, visit func(day shelf.Day, points, corrected []*point.Point) error,
) error {
	for days := range slices.Chunk(person.Measured([]point.Schema{schema}, first, last), stretch) {
		points, err := s.Store.Whole(ctx, ring, person, []point.Schema{schema}, days)
		if err != nil {
			return err
		}
		counting, corrected := apart(points)
		of, before := daily(counting), daily(corrected)
		for _, text := range days {
			day, err := stored(text)
			if err != nil {
				return err
			}
			if err := visit(day, of[text], before[text]); err != nil {
				return err
			}
		}
	}
	return nil
}

// add gathers a day's points.
func (g *series) add(day shelf.Day, points []*point.Point) {
	if !g.source.IsZero() {
		points = slices.DeleteFunc(points, func(p *point.Point) bool { return p.Source != g.source })
	}
	taken, left := once(g.schema, g.measure, points, g.width < oneDay)
	if len(taken) == 0 {
		return
	}
	g.days = append(g.days, day)
	g.out.Points += uint32(len(taken))
	g.out.Overlapped += uint32(left)
	for _, p := range taken {
		q, _ := p.Value(g.measure)
		g.count(int(g.at(day, p)/g.width), int64(q))
	}
	if g.width >= oneDay {
		g.buckets[time.Duration(day-g.first)*oneDay/g.width].Days++
	}
}

// once are those of a day's points that have a measure, such that no moment counts twice; left is how many are left out for that. Traffic
// data of the same time are several, and each point has its schema's one measure.
func once(schema point.Schema, m point.Measure, points []*point.Point, fine bool) (taken []*point.Point, left int) {
	if schema.IsTraffic() {
		return points, 0
	}
	having := 0
	for _, p := range points {
		if _, has := p.Value(m); has {
			having++
		}
	}
	taken = minimise.Once(points, m, fine)
	return taken, having - len(taken)
}

// at is how long after the first day's beginning a point begins, by its own clock.
func (g *series) at(day shelf.Day, p *point.Point) time.Duration {
	since := time.Duration(day-g.first) * oneDay
	if g.width >= oneDay {
		return since
	}
	h, m, sec := p.Frame.Start.Clock()
	return since + time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second
}

func (g *series) count(at int, q int64) {
	b := &g.buckets[at]
	if b.GetPoints() == 0 {
		b.Least, b.Most = q, q
	}
	b.Points++
	b.Least, b.Most, b.Sum = min(b.GetLeast(), q), max(b.GetMost(), q), b.GetSum()+q
}

// made is the answer: buckets that hold something, and the days without anything between those that have some.
func (g *series) made(last shelf.Day) *deliveryv1.GetSeriesResponse {
	begin := int64(g.first) * oneDay.Microseconds()
	for i := range g.buckets {
		b := &g.buckets[i]
		if b.GetPoints() == 0 {
			continue
		}
		n := int64(b.GetPoints())
		b.Days, b.From, b.Mean = max(b.GetDays(), 1), begin+int64(i)*g.width.Microseconds(), (b.GetSum()+n/2)/n
		g.out.Buckets = append(g.out.Buckets, b)
	}
	for i := 1; i < len(g.days) && g.days[i] <= last; i++ {
		if before, day := g.days[i-1], g.days[i]; day > before+1 {
			g.out.Gaps = append(g.out.Gaps, &marketv1.Days{First: (before + 1).String(), Last: (day - 1).String()})
		}
	}
	return g.out
}
