package person

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Data has the commands about what is held of a person.
type Data struct {
	Points     points      `cmd:"" help:"Show a day's measurements; --json prints them whole." example:"obole data points --subscriber ID --schema omh:step-count:3.0 --day 2016-04-12"`
	Correct    correctData `cmd:"" help:"Say what a measurement should say." example:"obole data correct --subscriber ID --schema omh:step-count:3.0 --day 2016-04-12 --value step_count=9120"`
	Sources    sourcesData `cmd:"" help:"List the sources and how they stand." example:"obole data sources --subscriber ID"`
	Restrict   restrict    `cmd:"" help:"Have what came from a source used in nothing." example:"obole data restrict --subscriber ID SOURCE"`
	Lift       lift        `cmd:"" help:"Lift a restriction." example:"obole data lift --subscriber ID SOURCE"`
	Disconnect disconnect  `cmd:"" help:"Have nothing come from a source any more." example:"obole data disconnect --subscriber ID SOURCE"`
	Reconnect  reconnect   `cmd:"" help:"Let measurements come from a source again." example:"obole data reconnect --subscriber ID SOURCE"`
}

// onDay is what was measured on a day.
type onDay struct {
	who
	Schema string `required:"" help:"Schema, as in omh:step-count:3.0."`
	Day    string `required:"" help:"Day, YYYY-MM-DD."`
}

func (c *onDay) read(ctx context.Context, to deliveryv1.DeliveryServiceClient) ([][]byte, error) {
	if _, err := time.Parse(time.DateOnly, c.Day); err != nil {
		return nil, client.Usage("--day %q: want a day of the calendar, YYYY-MM-DD", c.Day)
	}
	return client.Pages(func(page string) ([][]byte, string, error) {
		r, err := to.ListPoints(ctx, &deliveryv1.ListPointsRequest{
			SubscriberId: c.Subscriber, Schema: c.Schema, Days: &marketv1.Days{First: c.Day, Last: c.Day}, PageToken: page,
		})
		return r.GetPoints(), r.GetNextPageToken(), err
	})
}

type points struct{ onDay }

// Run prints.
func (c *points) Run(ctx context.Context, s *client.Session) error {
	to, err := s.Delivery(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, err := c.read(ctx, to)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.None("such points on " + c.Day)
		return nil
	}
	rows := make([][]any, len(all))
	for i, raw := range all {
		if s.JSON {
			if err := s.Object(json.RawMessage(raw)); err != nil {
				return err
			}
			continue
		}
		p, err := readPoint(raw)
		if err != nil {
			return err
		}
		from, to := p.when()
		rows[i] = []any{p.Header.UUID, from, dash(to), strings.Join(p.says(), ", ")}
	}
	if s.JSON {
		return nil
	}
	return s.Table([]string{"point", "from", "to", "says"}, rows)
}

// point is a measurement, as far as a table shows it.
type point struct {
	Header struct {
		UUID string `json:"uuid"`
	} `json:"header"`
	Body map[string]any `json:"body"`
}

const frame = "effective_time_frame"

func readPoint(raw []byte) (p point, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // every digit stays
	return p, d.Decode(&p)
}

// when says of which time a point is, by the clock that it carries; to is empty where it is of one moment.
func (p point) when() (from, to string) {
	of, _ := p.Body[frame].(map[string]any)
	span, is := of["time_interval"].(map[string]any)
	if !is {
		from, _ = of["date_time"].(string)
		return from, ""
	}
	from, _ = span["start_date_time"].(string)
	to, _ = span["end_date_time"].(string)
	return from, to
}

// says are a point's values, named and written as correcting one takes them.
func (p point) says() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Body)) {
		switch v := p.Body[name].(type) {
		case map[string]any:
			if name != frame {
				out = append(out, fmt.Sprintf("%s=%v %v", name, v["value"], v["unit"]))
			}
		default:
			out = append(out, fmt.Sprintf("%s=%v", name, v))
		}
	}
	return out
}

type correctData struct {
	onDay
	key
	Point string `help:"Id of the point, as obole data points shows it; needed where the day has several."`
	Value string `required:"" placeholder:"MEASURE=NUMBER" help:"What it should say, in the unit that obole data points shows, as in step_count=9120."`
}

// Run corrects.
func (c *correctData) Run(ctx context.Context, s *client.Session) error {
	measure, number, ok := strings.Cut(c.Value, "=")
	if !ok || !json.Valid([]byte(number)) {
		return client.Usage("--value %q: want MEASURE=NUMBER, as in step_count=9120", c.Value)
	}
	to, err := s.Delivery(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, err := c.read(ctx, to)
	if err != nil {
		return err
	}
	says, err := c.corrected(all, measure, json.Number(number))
	if err != nil {
		return err
	}
	r, err := to.CorrectPoint(ctx, &deliveryv1.CorrectPointRequest{SubscriberId: c.Subscriber, Point: says, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	return s.One(r, "corrected: %s counts, %s is kept as superseded; packages that carry the earlier value: %d", r.GetPointId(), r.GetSupersedes(), len(r.GetDeliveryIds()))
}

// corrected finds the point among a day's, and gives it with another value.
func (c *correctData) corrected(all [][]byte, measure string, number json.Number) ([]byte, error) {
	if len(all) == 0 {
		return nil, client.Usage("--day %s: no such point was measured on it", c.Day)
	}
	if c.Point == "" && len(all) != 1 {
		return nil, client.Usage("the day has %d such points: name one with --point", len(all))
	}
	for _, raw := range all {
		p, err := readPoint(raw)
		if err != nil {
			return nil, err
		}
		if c.Point != "" && p.Header.UUID != c.Point {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber() // every digit stays
		var whole struct {
			Header json.RawMessage `json:"header"`
			Body   map[string]any  `json:"body"`
		}
		if err := d.Decode(&whole); err != nil {
			return nil, err
		}
		switch held := whole.Body[measure].(type) {
		case map[string]any:
			held["value"] = number
		case json.Number:
			whole.Body[measure] = number
		default:
			return nil, client.Usage("--value %q: the point says nothing of that, but %s", measure, strings.Join(p.says(), ", "))
		}
		return json.Marshal(whole)
	}
	return nil, client.Usage("--point %q: the day has no such point", c.Point)
}

type sourcesData struct{ who }

// Run lists.
func (c *sourcesData) Run(ctx context.Context, s *client.Session) error {
	to, err := s.Delivery(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*deliveryv1.Source, string, error) {
		r, err := to.ListSources(ctx, &deliveryv1.ListSourcesRequest{SubscriberId: c.Subscriber, PageToken: page})
		return r.GetSources(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return client.List(s, "sources", all, []string{"source", "importer", "route", "connected", "last", "restricted", "disconnected"}, func(v *deliveryv1.Source) []any {
		return []any{
			v.GetSourceId(), v.GetImporter(), client.Word(v.GetRoute()), client.Time(v.GetConnectedAt()), client.Time(v.GetImportedAt()),
			client.Time(v.GetRestrictedAt()), client.Time(v.GetDisconnectedAt()),
		}
	})
}

// ofSource is one source.
type ofSource struct {
	who
	key
	Source string `arg:"" help:"The source's id."`
}

// ask has delivery decide, and waits until the list shows it: the next command shall find it. It holds in any case.
func (c *ofSource) ask(
	ctx context.Context, s *client.Session, say func(to deliveryv1.DeliveryServiceClient, key string) (client.Answer, error), format string, args ...any,
) error {
	to, err := s.Delivery(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	r, err := say(to, client.Key(c.Key))
	if err != nil {
		return err
	}
	_, _ = to.ListSources(ctx, &deliveryv1.ListSourcesRequest{SubscriberId: c.Subscriber, PageSize: 1, After: r.GetCursor()})
	return s.One(r, format, args...)
}

type restrict struct{ ofSource }

// Run restricts.
func (c *restrict) Run(ctx context.Context, s *client.Session) error {
	return c.ask(ctx, s, func(to deliveryv1.DeliveryServiceClient, key string) (client.Answer, error) {
		return to.RestrictSource(ctx, &deliveryv1.RestrictSourceRequest{SubscriberId: c.Subscriber, SourceId: c.Source, IdempotencyKey: key})
	}, "restricted %s: nothing of it is used, and nothing of it leaves", c.Source)
}

type lift struct{ ofSource }

// Run lifts.
func (c *lift) Run(ctx context.Context, s *client.Session) error {
	return c.ask(ctx, s, func(to deliveryv1.DeliveryServiceClient, key string) (client.Answer, error) {
		return to.LiftRestriction(ctx, &deliveryv1.LiftRestrictionRequest{SubscriberId: c.Subscriber, SourceId: c.Source, IdempotencyKey: key})
	}, "lifted the restriction of %s", c.Source)
}

type disconnect struct{ ofSource }

// Run disconnects.
func (c *disconnect) Run(ctx context.Context, s *client.Session) error {
	return c.ask(ctx, s, func(to deliveryv1.DeliveryServiceClient, key string) (client.Answer, error) {
		return to.DisconnectSource(ctx, &deliveryv1.DisconnectSourceRequest{SubscriberId: c.Subscriber, SourceId: c.Source, IdempotencyKey: key})
	}, "disconnected %s: nothing comes from it; what has come stays", c.Source)
}

type reconnect struct{ ofSource }

// Run reconnects.
func (c *reconnect) Run(ctx context.Context, s *client.Session) error {
	return c.ask(ctx, s, func(to deliveryv1.DeliveryServiceClient, key string) (client.Answer, error) {
		return to.ReconnectSource(ctx, &deliveryv1.ReconnectSourceRequest{SubscriberId: c.Subscriber, SourceId: c.Source, IdempotencyKey: key})
	}, "connected %s again", c.Source)
}
