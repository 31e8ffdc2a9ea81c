// Package person is what a person types, or the operator's app on the person's behalf: to join, to bring measurements,
// to answer offers, to rule over consents.
package person

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// who names the person of a command.
type who struct {
	Subscriber string `required:"" env:"OBOLE_SUBSCRIBER" placeholder:"ID" help:"The person's id."`
}

type key struct {
	Key string `placeholder:"TEXT" help:"Idempotency key: the same command with the same key is done once; empty means a new one."`
}

// Enrol takes a person in.
type Enrol struct {
	key
	Subscriber string `env:"OBOLE_SUBSCRIBER" placeholder:"ID" help:"The person's id; empty means a new one."`
	Country    string `required:"" placeholder:"CODE" help:"Country, as in BE."`
	Language   string `default:"en" placeholder:"TAG" help:"Language, as in fr."`
	Born       string `placeholder:"DATE" help:"Birth date, YYYY-MM-DD. Without a known age no paid offer is made."`
	BornYear   int32  `placeholder:"YEAR" help:"Birth year, where no more is known."`
}

// Help has the examples.
func (*Enrol) Help() string {
	return `Examples:
  obole enrol --country BE --language fr --born 1990-02-03
  obole enrol --country IE --born-year 1988 --json`
}

// Run enrols.
func (c *Enrol) Run(ctx context.Context, s *client.Session) error {
	if c.Subscriber == "" {
		c.Subscriber = id.Random().String()
	}
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	_, err = gate.Enrol(ctx, &consentv1.EnrolRequest{
		SubscriberId: c.Subscriber, Country: c.Country, Language: c.Language, BirthDate: c.Born, BirthYear: c.BornYear, IdempotencyKey: client.Key(c.Key),
	})
	if err != nil {
		return err
	}
	if err := s.Welcome(client.Person(c.Subscriber), "Person "+c.Subscriber[:8]); err != nil {
		return err
	}
	if s.JSON {
		return s.Object(map[string]string{"subscriber_id": c.Subscriber})
	}
	_, err = io.WriteString(s.Out, "enrolled "+c.Subscriber+"\n")
	return err
}

// Import brings measurements from files.
type Import struct {
	who
	Importer string   `required:"" enum:"fitabase-csv,withings-json,points" placeholder:"NAME" help:"What the files are: fitabase-csv, withings-json or points."`
	Zone     string   `placeholder:"ZONE" help:"Time zone of files that name none, as in Europe/Brussels."`
	Person   string   `placeholder:"TEXT" help:"Which person of a file with several, as the file names them. It is not stored."`
	Days     string   `placeholder:"FIRST..LAST" help:"Take only these days."`
	Route    string   `default:"gdpr-20" placeholder:"WORD" help:"How the measurements came. A person brings their own copy, gdpr-20; the other routes are for the operator and its sources."`
	Files    []string `arg:"" name:"file" help:"Files of any size; - reads standard input."`
}

// Help has the examples.
func (*Import) Help() string {
	return `A file is kept as a whole or not at all; imported again it adds nothing.

Examples:
  obole import --subscriber ID --importer fitabase-csv --zone America/New_York --person 1503960366 dailyActivity_merged.csv
  obole import --subscriber ID --importer withings-json --zone Europe/Brussels getmeas.json`
}

// Run imports one file after the other.
func (c *Import) Run(ctx context.Context, s *client.Session) error {
	route, ok := client.Number[deliveryv1.Route](c.Route)
	if !ok {
		return client.Usage("--route %q: want one of %s", c.Route, client.Words[deliveryv1.Route]())
	}
	var days *marketv1.Days
	if c.Days != "" {
		first, last, ok := strings.Cut(c.Days, "..")
		if !ok {
			return client.Usage("--days %q: want FIRST..LAST, as in 2016-04-12..2016-05-12", c.Days)
		}
		days = &marketv1.Days{First: first, Last: last}
	}
	return bring(ctx, s, client.Person(c.Subscriber), c.Importer, route, "obole import "+c.Importer+" "+route.String(), c.Files, &deliveryv1.ImportHeader{
		SubscriberId: c.Subscriber, Zone: c.Zone, Person: c.Person, Days: days,
	})
}

// Feed is the operator's import: what its own systems have of one of its subscribers.
type Feed struct {
	who
	Importer string   `required:"" enum:"bandicoot-csv,mobility-csv,usage-csv" placeholder:"NAME" help:"What the files are: bandicoot-csv (calls and messages), mobility-csv (stays in cells) or usage-csv (data use)."`
	Zone     string   `placeholder:"ZONE" help:"The person's time zone, as in Europe/Brussels: by its clock days and hours are told."`
	Files    []string `arg:"" name:"file" help:"Files of any size, of this person alone; - reads standard input."`
}

// Help has the examples.
func (*Feed) Help() string {
	return `What it brings is for the person's own eyes: it is in no product, and nobody can bid for it. Other people in it are
replaced by pseudonyms as the file is read. A file is kept as a whole or not at all; fed again it adds nothing.

Where cells stand, for the person's map, is a table of the network: cells.csv in the folder of the market, or --cells of
the service delivery; columns antenna_id, latitude, longitude.

Examples:
  obole feed --subscriber ID --importer bandicoot-csv --zone America/New_York testdata/bandicoot/ego.csv
  obole feed --subscriber ID --importer mobility-csv --zone America/New_York testdata/mobile/visits.csv
  obole feed --subscriber ID --importer usage-csv --zone America/New_York testdata/mobile/usage.csv`
}

// Run feeds one file after the other.
func (c *Feed) Run(ctx context.Context, s *client.Session) error {
	// The operator's keys are its own, for all people together.
	key := "obole feed " + id.Derive([]byte(c.Subscriber), []byte(c.Importer)).String()
	return bring(ctx, s, client.Operator(), c.Importer, deliveryv1.Route_ROUTE_OPERATOR, key, c.Files, &deliveryv1.ImportHeader{
		SubscriberId: c.Subscriber, Zone: c.Zone,
	})
}

// bring imports files one after the other, as whoever brings them.
func bring(
	ctx context.Context, s *client.Session, as client.Who, importer string, route deliveryv1.Route, key string, files []string, head *deliveryv1.ImportHeader,
) error {
	to, err := s.Delivery(as)
	if err != nil {
		return err
	}
	// The same person, importer and route are one source, however often something comes from it.
	head.Connect = &deliveryv1.NewSource{Importer: importer, Route: route, IdempotencyKey: key}
	for _, name := range files {
		head.FileName = filepath.Base(name)
		r, err := send(ctx, s, to, name, head)
		if err != nil {
			return err
		}
		var fresh uint32
		for _, a := range r.GetArrivals() {
			fresh += a.GetPoints()
		}
		if err := s.One(r, "%s: %d new points, %d known already", name, fresh, r.GetRepeatedPoints()); err != nil {
			return err
		}
	}
	return nil
}

// chunk is how much of a file travels in a message.
const chunk = 64 << 10

// send streams one file.
func send(ctx context.Context, s *client.Session, to deliveryv1.DeliveryServiceClient, name string, head *deliveryv1.ImportHeader) (*deliveryv1.ImportResponse, error) {
	in := s.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, client.Usage("%w", err)
		}
		defer f.Close()
		in = f
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := to.Import(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Header{Header: head}})
	for err == nil {
		buffer := make([]byte, chunk) // grpc may still read the one before
		n, ended := io.ReadFull(in, buffer)
		if n > 0 {
			err = stream.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Chunk{Chunk: buffer[:n]}})
		}
		if errors.Is(ended, io.EOF) || errors.Is(ended, io.ErrUnexpectedEOF) {
			break
		}
		if ended != nil {
			return nil, client.Usage("%w", ended)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the service has answered, and CloseAndRecv says what
		return nil, err
	}
	return stream.CloseAndRecv()
}
