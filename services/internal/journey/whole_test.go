package journey

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/figure"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement"
)

const (
	walking = "dailyActivity_merged.csv"
	// crowd is how many people accept every bid, and a round has bidsFast bids as fast as they can be, and one at perSecond. With fewer people the way
	// of the first and of the last delivery would be much of a round, and what is told no rate.
	crowd, bidsFast, perSecond = 240, 3, 200
)

// whole measures the path from a person's acceptance to the posting, over four processes: consent is asked, the agreement forms, the
// package is prepared, fetched and receipted by a buyer that watches, the gate lets the key go, and settlement posts. A posting's
// time is its event's in settlement's log; an acceptance's is when the person's call began.
func whole(b *testing.B) {
	f := launch(b)
	rest := f.memory()
	f.opens(1_000_000_00)
	people, days := f.crowd(crowd)
	rounds := min(figure.Rounds, len(days)/(bidsFast+1))
	bids := make([]string, rounds*(bidsFast+1))
	for i := range bids {
		n := f.bid(crowd, 5)
		n.Terms.MaxSlotsPerPerson, n.Terms.Slots = 1, &marketv1.Days{First: days[i], Last: days[i]}
		bids[i] = f.place(n, fmt.Sprint("bid ", i))
	}
	for _, bid := range bids {
		f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	}
	f.each(people, func(p *candidate) { p.shown = f.shown(p.person, len(bids)) })

	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var buying sync.WaitGroup
	buying.Go(func() { f.buys(ctx) })
	posted := f.postings()
	defer func() { _ = posted.conn.Close(context.Background()) }() // nothing is pending

	paths := []figure.Path{
		{Name: "whole path, as fast as it goes", Unit: "deliveries/s", Bars: []figure.Bar{{AtLeast: 500}}},
		{Name: "acceptance to posting at 200/s, p50", Unit: "ms", Bars: []figure.Bar{{AtMost: 60}}},
		{Name: "acceptance to posting at 200/s, p99", Unit: "ms", Bars: []figure.Bar{{AtMost: 200}}},
	}
	cpu := make([]figure.Path, len(worldtest.Services))
	for round := range rounds {
		at := round * (bidsFast + 1)
		before, began := f.cpu(), time.Now()
		taken := f.accepting(people, bids[at:at+bidsFast], 0)
		last := posted.wait(len(taken))
		paths[0].Got(float64(len(taken)) / last.Sub(began).Seconds())
		for i, spent := range f.cpu() {
			cpu[i].Got((spent - before[i]).Seconds() * 1000 / float64(len(taken)))
		}

		taken = f.accepting(people, bids[at+bidsFast:at+bidsFast+1], time.Second/perSecond)
		posted.wait(len(taken))
		took := make([]float64, 0, len(taken))
		for deal, began := range taken {
			took = append(took, posted.at[deal].Sub(began).Seconds()*1000)
		}
		paths[1].Got(figure.Quantile(took, 0.5))
		paths[2].Got(figure.Quantile(took, 0.99))
	}
	cancel()
	buying.Wait()
	for i, s := range worldtest.Services {
		cpu[i].Name, cpu[i].Unit = s+", CPU of a delivery", "ms"
		memory := figure.Path{Name: s + ", memory at rest", Unit: "MiB"}
		memory.Got(rest[i])
		paths = append(paths, cpu[i], memory)
	}
	f.must(figure.Print(os.Stdout, paths))
}

// candidate is a person with what they were shown, by bid.
type candidate struct {
	*holder
	shown map[string]*offersv1.Offer
}

// each does something for every person, a few at a time.
func (f *fleet) each(people []*candidate, do func(*candidate)) {
	var wg sync.WaitGroup
	next := make(chan *candidate)
	for range 4 {
		wg.Go(func() {
			for p := range next {
				do(p)
			}
		})
	}
	for _, p := range people {
		next <- p
	}
	close(next)
	wg.Wait()
}

// crowd is so many people, who have the measurements of those participants that walked on every one of twenty days; and these days.
func (f *fleet) crowd(size int) (people []*candidate, days []string) {
	f.t.Helper()
	const needed = 20
	rows, err := csv.NewReader(bytes.NewReader(read(f.t, walking))).ReadAll()
	f.must(err)
	walked := map[string][]string{}
	var who []string
	for _, row := range rows[1:] {
		day, err := time.Parse("1/2/2006", row[1])
		f.must(err)
		if row[2] == "0" || len(walked[row[0]]) == needed || day.Format(time.DateOnly) != first.AddDate(0, 0, len(walked[row[0]])).Format(time.DateOnly) {
			continue
		}
		if walked[row[0]] = append(walked[row[0]], day.Format(time.DateOnly)); len(walked[row[0]]) == needed {
			who = append(who, row[0])
		}
	}
	if len(who) == 0 {
		f.t.Fatal("nobody walked on twenty days")
	}
	people = make([]*candidate, size)
	of := map[*candidate]string{}
	for i := range people {
		people[i] = new(candidate)
		of[people[i]] = who[i%len(who)]
	}
	days = walked[who[0]]
	f.each(people, func(p *candidate) {
		p.holder = f.holder()
		_, err := p.bring(walking, of[p], &marketv1.Days{First: days[0], Last: days[needed-1]})
		f.must(err)
	})
	return people, days
}

// first day of the measurements.
var first = time.Date(2016, 4, 12, 0, 0, 0, 0, time.UTC)

// shown asks for a person's offers until as many are there as there are bids.
func (f *fleet) shown(p *person, want int) map[string]*offersv1.Offer {
	out := map[string]*offersv1.Offer{}
	f.Eventually("the offers", func() bool {
		l, err := p.offers.ListOffers(f.t.Context(), &offersv1.ListOffersRequest{SubscriberId: p.id.String(), PageSize: 200})
		f.must(err)
		for _, o := range l.GetOffers() {
			card := new(offersv1.Card)
			f.must(proto.Unmarshal(o.GetCard(), card))
			out[card.GetBidId()] = o
		}
		return len(out) >= want
	})
	return out
}

// accepting lets everybody accept bids: 64 at once, or one every so often. It gives when each agreement's acceptance began.
func (f *fleet) accepting(people []*candidate, bids []string, every time.Duration) map[string]time.Time {
	f.t.Helper()
	type turn struct {
		p   *candidate
		bid string
	}
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		taken = map[string]time.Time{}
		turns = make(chan turn)
	)
	for range 64 {
		wg.Go(func() {
			for t := range turns {
				o, began := t.p.shown[t.bid], time.Now()
				r, err := t.p.offers.AcceptOffer(f.t.Context(), &offersv1.AcceptOfferRequest{
					SubscriberId: t.p.id.String(), OfferId: o.GetOfferId(), BidId: t.bid, CardSha256: o.GetCardSha256(), ExplicitStep: true,
					IdempotencyKey: "a" + t.bid,
				})
				if err != nil {
					f.t.Error(err)
					continue
				}
				mu.Lock()
				taken[r.GetAgreementId()] = began
				mu.Unlock()
			}
		})
	}
	var pace <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		pace = ticker.C
	}
	for _, bid := range bids {
		for _, p := range people {
			if pace != nil {
				<-pace
			}
			turns <- turn{p, bid}
		}
	}
	close(turns)
	wg.Wait()
	return taken
}

// buys fetches and receipts what is prepared, for the buyer, until the context ends.
func (f *fleet) buys(ctx context.Context) {
	stream, err := f.packages.WatchDeliveries(ctx, &deliveryv1.WatchDeliveriesRequest{BuyerId: f.buyer.String()})
	if err != nil {
		f.t.Error(err)
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	asked := map[string]bool{}
	for {
		m, err := stream.Recv()
		if err != nil {
			if ctx.Err() == nil {
				f.t.Error(err)
			}
			return
		}
		d := m.GetDelivery()
		if d.GetState() != prepared || asked[d.GetDeliveryId()] {
			continue
		}
		asked[d.GetDeliveryId()] = true
		wg.Go(func() {
			if err := f.takes(ctx, d); err != nil && ctx.Err() == nil {
				f.t.Error(err)
			}
		})
	}
}

// takes fetches one package and gets its key.
func (f *fleet) takes(ctx context.Context, d *deliveryv1.Delivery) error {
	stream, err := f.packages.FetchPackage(ctx, &deliveryv1.FetchPackageRequest{BuyerId: f.buyer.String(), DeliveryId: d.GetDeliveryId()})
	if err != nil {
		return err
	}
	digest := sha256.New()
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		digest.Write(r.GetChunk())
	}
	if !bytes.Equal(digest.Sum(nil), d.GetDigest()) {
		return fmt.Errorf("package %s is not what its digest says", d.GetDeliveryId())
	}
	for {
		_, err := f.packages.SignReceipt(ctx, f.receipt(d))
		switch reason(err) {
		case "CONSENT_UNREACHABLE", "COHORT_NOT_CLEARED": // the second had passed: asked again
			continue
		}
		return err
	}
}

// postings follows settlement's log, in the book's partition.
type postings struct {
	f    *fleet
	conn *pgx.Conn
	book es.Partition
	last int64
	at   map[string]time.Time // by agreement
}

func (f *fleet) postings() *postings {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.configs[settlement.Name].Database.URL)
	f.must(err)
	book := es.PartitionOf(es.StreamOf(settlement.BookID("obole", "EUR").ID), worldtest.Partitions)
	return &postings{f: f, conn: conn, book: book, at: map[string]time.Time{}}
}

// wait until so many more deliveries are posted; it gives when the last one was.
func (p *postings) wait(more int) (last time.Time) {
	p.f.t.Helper()
	p.f.Eventually(fmt.Sprintf("%d postings", more), func() bool {
		rows, err := p.conn.Query(p.f.t.Context(), `
			select position, at, data from event where partition = $1 and position > $2 and type = 'delivery_settled' order by position`, p.book, p.last)
		p.f.must(err)
		var (
			at   time.Time
			data []byte
			m    settlementv1.Event
		)
		_, err = pgx.ForEachRow(rows, []any{&p.last, &at, &data}, func() error {
			if err := proto.Unmarshal(data, &m); err != nil {
				return err
			}
			p.at[m.GetDeliverySettled().GetAgreementId()] = at
			last, more = at, more-1
			return nil
		})
		p.f.must(err)
		return more == 0
	})
	return last
}

// cpu is what each process has spent, in the order of worldtest.Services.
func (f *fleet) cpu() []time.Duration {
	f.t.Helper()
	out := make([]time.Duration, len(worldtest.Services))
	for i, s := range worldtest.Services {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.running[s].Process.Pid))
		f.must(err)
		_, rest, _ := strings.Cut(string(raw), ") ") // the name before may hold anything
		fields := strings.Fields(rest)
		for _, ticks := range fields[11:13] { // user and system, in hundredths of a second
			n, err := strconv.Atoi(ticks)
			f.must(err)
			out[i] += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return out
}

// memory is what each process holds, MiB.
func (f *fleet) memory() []float64 {
	f.t.Helper()
	out := make([]float64, len(worldtest.Services))
	for i, s := range worldtest.Services {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.running[s].Process.Pid))
		f.must(err)
		for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
				kib, err := strconv.Atoi(strings.Fields(value)[0])
				f.must(err)
				out[i] = float64(kib) / 1024
			}
		}
	}
	return out
}
