package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/obole/internal/buyer"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/testdata/fitabase"
)

const (
	steps  = "dailyActivity_merged.csv"
	sleep  = "sleepDay_merged.csv"
	weight = "weightLogInfo_merged.csv"
)

// peopleImport: each brings what the study has of them. The walker's steps come later, day by day, but for the first.
func (p *play) peopleImport(ctx context.Context) error {
	first, err := p.walked(0)
	if err != nil {
		return err
	}
	return p.everybody(ctx, "people import their measurements", func(ctx context.Context, who *person) error {
		for _, file := range []string{steps, sleep, weight} {
			var days *marketv1.Days
			if file == steps && who.Participant == p.Walker.Participant {
				days = first
			}
			if err := p.bring(ctx, who, file, days); err != nil {
				return fmt.Errorf("%s of participant %s: %w", file, who.Participant, err)
			}
		}
		return nil
	})
}

// bring imports one file of one person, where the file has something of that person.
func (p *play) bring(ctx context.Context, who *person, file string, days *marketv1.Days) error {
	raw, err := fitabase.Files.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(raw, []byte("\n"+who.Participant+",")) {
		return nil
	}
	return p.send(ctx, client.Person(who.id), raw, "fitabase-csv", deliveryv1.Route_ROUTE_GDPR_20, &deliveryv1.ImportHeader{
		SubscriberId: who.id, FileName: file, Person: who.Participant, Days: days,
	})
}

// send imports a file as whoever brings it.
func (p *play) send(ctx context.Context, as client.Who, raw []byte, importer string, route deliveryv1.Route, head *deliveryv1.ImportHeader) error {
	to, err := p.s.Delivery(as)
	if err != nil {
		return err
	}
	// Who brings for several people has the same keys for all of them.
	key := id.Derive([]byte(head.GetSubscriberId()), []byte(importer)).String()
	stream, err := to.Import(ctx)
	if err != nil {
		return err
	}
	head.Connect, head.Zone = &deliveryv1.NewSource{Importer: importer, Route: route, IdempotencyKey: key}, p.Zone
	err = stream.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Header{Header: head}})
	for chunk := range slices.Chunk(raw, 64<<10) {
		if err != nil {
			break
		}
		err = stream.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Chunk{Chunk: chunk}})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}

// walked is the walker's day of that number, from 0, among those with steps.
func (p *play) walked(number int) (*marketv1.Days, error) {
	raw, err := fitabase.Files.ReadFile(steps)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, ",")
		if cells[0] != p.Walker.Participant || cells[2] == "0" {
			continue
		}
		if number > 0 {
			number--
			continue
		}
		day, err := time.Parse("1/2/2006", cells[1])
		if err != nil {
			return nil, err
		}
		text := day.Format(time.DateOnly)
		return &marketv1.Days{First: text, Last: text}, nil
	}
	return nil, errors.New("the walker has not walked on so many days")
}

// packagesCome: as soon as enough have consented, packages are prepared; each buyer fetches, signs and opens them.
func (p *play) packagesCome(ctx context.Context) error {
	for _, a := range p.buyers {
		if a.number == "" {
			continue
		}
		if err := p.receive(ctx, a, a.agreements, "packages for: "+strings.ToLower(a.name)); err != nil {
			return err
		}
	}
	return nil
}

// receive takes packages until the buyer has so many in all.
func (p *play) receive(ctx context.Context, a *actor, want int, what string) error {
	from, err := p.s.Delivery(client.Buyer(a.key.Buyer))
	if err != nil {
		return err
	}
	r := &buyer.Receiver{Key: a.key, From: from, Dir: p.dir}
	var bar *client.Progress
	if what != "" {
		bar = p.s.Progress(what, want-len(a.received))
		defer bar.Done()
	}
	return until(ctx, "packages", func() (bool, error) {
		all, err := client.Pages(func(page string) ([]*deliveryv1.Delivery, string, error) {
			r, err := from.ListDeliveries(ctx, &deliveryv1.ListDeliveriesRequest{
				BuyerId: a.key.Buyer, State: deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED, PageToken: page,
			})
			return r.GetDeliveries(), r.GetNextPageToken(), err
		})
		if err != nil {
			return false, err
		}
		for _, d := range all {
			if _, is := a.received[d.GetDeliveryId()]; is || !r.Lacks(d) {
				continue
			}
			got, err := r.Receive(ctx, d)
			if err != nil {
				return false, err
			}
			a.received[d.GetDeliveryId()] = got
			p.owner[got.Manifest.Agreement].deliveries++
			if bar != nil {
				bar.Step()
			}
		}
		return len(a.received) >= want, nil
	})
}

// daysFollow: the walker's next days are imported one by one, and each is delivered; after the last one the walker
// withdraws, imports on, and nothing follows.
func (p *play) daysFollow(ctx context.Context) error {
	who := p.people[slices.IndexFunc(p.people, func(who *person) bool { return who.Participant == p.Walker.Participant })]
	shoes := p.buyers[slices.IndexFunc(p.buyers, func(a *actor) bool { return a.bid.GetTerms().GetCadence() == marketv1.Cadence_CADENCE_DAILY })]
	agreement := who.agreements[shoes.bid.GetTerms().GetProduct().GetId()]
	bar := p.s.Progress("one person's steps, day by day", p.Walker.Days+p.Walker.After)
	defer bar.Done()
	bar.Step()
	for n := 1; n < p.Walker.Days+p.Walker.After; n++ {
		if n == p.Walker.Days {
			gate, err := p.s.Consent(client.Person(who.id))
			if err != nil {
				return err
			}
			err = client.Again(ctx, func() error {
				_, err := gate.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: who.id, AgreementId: agreement, IdempotencyKey: once})
				return err
			})
			if err != nil {
				return err
			}
		}
		day, err := p.walked(n)
		if err != nil {
			return err
		}
		if err := client.Again(ctx, func() error { return p.bring(ctx, who, steps, day) }); err != nil {
			return err
		}
		if n < p.Walker.Days {
			if err := p.receive(ctx, shoes, len(shoes.received)+1, ""); err != nil {
				return err
			}
		}
		bar.Step()
	}
	return nil
}
