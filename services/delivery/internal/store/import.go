package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// Arrival counts new points of one schema.
type Arrival struct {
	Schema string `json:"schema"`
	Points int    `json:"points"`
	First  string `json:"first"`
	Last   string `json:"last"`
}

// Origin is where an import comes from.
type Origin struct {
	Source    id.ID
	Assurance point.Assurance
	Brings    *Brings // what the source is, where the import brings it
}

// Brings is what a source is that its first import brings.
type Brings struct {
	Importer string `json:"importer"`
	Route    int32  `json:"route"`
}

// Import is what an import came to. It is kept until its event is in the log.
type Import struct {
	ID          id.ID             `json:"-"`
	Subscriber  id.ID             `json:"-"`
	At          time.Time         `json:"-"` // when it was made; only Unrecorded tells
	Source      id.ID             `json:"source"`
	Brings      *Brings           `json:"brings,omitempty"` // the source, where it came with the import
	Zone        string            `json:"zone"`
	Fingerprint []byte            `json:"fingerprint"`
	Version     string            `json:"version"` // of the importer
	File        [sha256.Size]byte `json:"file"`
	Arrivals    []Arrival         `json:"arrivals"`
	Repeated    int               `json:"repeated"`
	Rules       int               `json:"rules"` // version of those that derived the facts
	Facts       map[string]string `json:"facts"`
	Corrected   *Correction       `json:"corrected,omitempty"` // set where a person corrected a point, and nothing was imported
}

// held is how many points wait in memory at most before they are written: some tens of megabytes.
const held = 100_000

// Read reads one file or batch into the store. feed calls its argument for each point, and gives the summary of the file when it
// has ended well. The same file for the same source, zone and days is the same import, and so is what the same command brings: nothing is
// added, and what it came to the first time is given again; what the same command brings another time is refused with ErrOther. At is when it is.
func (s Store) Read(
	ctx context.Context, ring *vault.Ring, from Origin, products []catalog.Product, what string, at time.Time,
	feed func(func(*point.Point) error) (source.Summary, error),
) (Import, error) {
	sum, err := ring.Fingerprint(content, "import")
	if err != nil {
		return Import{}, err
	}
	out := Import{Subscriber: ring.Subject(), Source: from.Source, Brings: from.Brings, Version: source.Version, Rules: minimise.FactsVersion}
	err = s.alone(ctx, ring, func(tx pgx.Tx) error {
		w := &writer{ctx: ctx, tx: tx, ring: ring, source: from.Source, assurance: from.Assurance, sum: sum, open: map[Page][]point.Point{}, touched: map[Page]bool{}}
		summary, err := feed(w.add)
		if err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
		out.File, out.Zone, out.Fingerprint, out.Repeated, out.Arrivals = summary.SHA256, summary.Zone, sum.Sum(nil), w.repeated, w.arrivals
		subject := ring.Subject()
		out.ID = id.Derive([]byte("import"), subject[:], from.Source[:], summary.SHA256[:], []byte(summary.Zone), []byte(what))
		if !summary.Command.IsZero() {
			out.ID = id.Derive([]byte("batch"), subject[:], summary.Command[:])
		}
		known, err := kept(ctx, tx, ring, out.ID)
		if err != nil {
			return err
		}
		if known != nil {
			if known.Source != from.Source || known.File != summary.SHA256 {
				return ErrOther
			}
			out = *known
			return errRepeated
		}
		if out.Facts, err = w.derive(products); err != nil {
			return err
		}
		return insert(ctx, tx, ring, &out, at)
	})
	return out, err
}

// alone runs a transaction of a person's measurements while no other of them does: pages are read, merged and written. One that finds
// that its import was made before keeps nothing, and is no failure.
func (s Store) alone(ctx context.Context, ring *vault.Ring, do func(pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('obole import ' || $1, 0))`, ring.Subject().String()); err != nil {
			return fmt.Errorf("store: import: %w", err)
		}
		return do(tx)
	})
	if errors.Is(err, errRepeated) {
		return nil
	}
	return err
}

// ErrOther: the command brought another batch before, or into another source.
var ErrOther = errors.New("store: the command brought something else before")

var errRepeated = errors.New("store: the import was made before")

// kept finds an import.
func kept(ctx context.Context, q querier, ring *vault.Ring, number id.ID) (*Import, error) {
	var box []byte
	err := q.QueryRow(ctx, `select box from store.import where import = $1`, [16]byte(number)).Scan(&box)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: import: %w", err)
	}
	plain, err := ring.OpenBytes(content, aad("import "+number.String(), ring), box)
	if err != nil {
		return nil, fmt.Errorf("store: import: %w", err)
	}
	out := &Import{ID: number, Subscriber: ring.Subject()}
	if json.Unmarshal(plain, out) != nil {
		return nil, errPage // the cause may quote it
	}
	return out, nil
}

// Import finds an import that was made.
func (s Store) Import(ctx context.Context, ring *vault.Ring, number id.ID) (*Import, error) {
	return kept(ctx, s.Pool, ring, number)
}

// Recorded says that an import's event is in the log.
func (s Store) Recorded(ctx context.Context, number id.ID) error {
	if _, err := s.Pool.Exec(ctx, `update store.import set recorded = true where import = $1`, [16]byte(number)); err != nil {
		return fmt.Errorf("store: import: %w", err)
	}
	return nil
}

// Unrecorded lists imports from before a time whose event is not known to be in the log, oldest first, after one of them: their
// ids, people and times.
func (s Store) Unrecorded(ctx context.Context, before time.Time, after Import, limit int) (list []Import, err error) {
	rows, err := s.Pool.Query(ctx, `
		select import, subscriber, at from store.import where not recorded and at < $1 and (at, import) > ($2, $3) order by at, import limit $4`,
		before, after.At, [16]byte(after.ID), limit)
	if err != nil {
		return nil, fmt.Errorf("store: imports: %w", err)
	}
	list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i Import, err error) {
		err = row.Scan((*[16]byte)(&i.ID), (*[16]byte)(&i.Subscriber), &i.At)
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: imports: %w", err)
	}
	return list, nil
}

// Forgotten removes an import that nobody can open any more, so that nobody looks for it again.
func (s Store) Forgotten(ctx context.Context, number id.ID) error {
	if _, err := s.Pool.Exec(ctx, `delete from store.import where import = $1`, [16]byte(number)); err != nil {
		return fmt.Errorf("store: import: %w", err)
	}
	return nil
}

// writer takes the points of one import.
type writer struct {
	ctx       context.Context
	tx        pgx.Tx
	ring      *vault.Ring
	source    id.ID
	assurance point.Assurance
	sum       hash.Hash
	open      map[Page][]point.Point
	waiting   int
	touched   map[Page]bool
	arrivals  []Arrival
	repeated  int
	barred    []id.ID // of which nothing is used
}

// add takes a point. What it points to is its caller's, so its values are copied.
func (w *writer) add(p *point.Point) error {
	w.sum.Write(p.ID[:])
	page := Page{Source: w.source, Schema: p.Schema, Day: p.Day()}
	own := *p
	own.Values = slices.Clone(p.Values)
	w.open[page] = append(w.open[page], own)
	if w.waiting++; w.waiting < held {
		return nil
	}
	return w.flush()
}

// flush merges what waits into its pages.
func (w *writer) flush() error {
	pages := make([]Page, 0, len(w.open))
	for page := range w.open {
		pages = append(pages, page)
	}
	for _, page := range pages {
		if err := w.merge(page, w.open[page]); err != nil {
			return err
		}
		delete(w.open, page)
	}
	w.waiting = 0
	return nil
}

func (w *writer) merge(page Page, arrived []point.Point) error {
	before, err := whole(w.ctx, w.tx, w.ring, []Page{page})
	if err != nil {
		return err
	}
	seen := make(map[id.ID]bool, len(before)+len(arrived))
	for i := range before {
		seen[before[i].ID] = true
	}
	all := before
	for i := range arrived {
		if seen[arrived[i].ID] {
			w.repeated++
			continue
		}
		seen[arrived[i].ID] = true
		arrived[i].Source, arrived[i].Assurance = w.source, w.assurance
		all = append(all, arrived[i])
	}
	added := len(all) - len(before)
	if added == 0 {
		return nil
	}
	w.arrive(page, added)
	w.touched[page] = true
	return w.write(page, all)
}

// write writes a page.
func (w *writer) write(page Page, all []point.Point) error {
	slices.SortStableFunc(all, func(a, b point.Point) int { return a.Frame.Start.Compare(b.Frame.Start) })
	box, err := page.seal(w.ring, all)
	if err != nil {
		return err
	}
	hash, err := buckets(w.ring, "page")
	if err != nil {
		return err
	}
	_, err = w.tx.Exec(w.ctx, `
		insert into store.page (subscriber, source, bucket, box) values ($1, $2, $3, $4) on conflict (subscriber, source, bucket) do update set box = excluded.box`,
		[16]byte(w.ring.Subject()), [16]byte(page.Source), hash(page.name()), box)
	if err != nil {
		return fmt.Errorf("store: page: %w", err)
	}
	return nil
}

// arrive counts new points.
func (w *writer) arrive(page Page, n int) {
	name := page.Schema.String()
	i, found := slices.BinarySearchFunc(w.arrivals, name, func(a Arrival, name string) int { return slices.Compare([]byte(a.Schema), []byte(name)) })
	if !found {
		w.arrivals = slices.Insert(w.arrivals, i, Arrival{Schema: name, First: page.Day, Last: page.Day})
	}
	a := &w.arrivals[i]
	a.Points, a.First, a.Last = a.Points+n, min(a.First, page.Day), max(a.Last, page.Day)
}

// derive brings up to date what is known of the person, of the days that the import touched and of no others: the months' pages and
// slots, the facts, the reach, and what came from the source. It reads a day at a time.
func (w *writer) derive(products []catalog.Product) (map[string]string, error) {
	h, known, err := headOf(w.ctx, w.tx, w.ring)
	if err != nil {
		return nil, err
	}
	if w.barred, err = barred(w.ctx, w.tx, w.ring); err != nil {
		return nil, err
	}
	if known && h.Rules != minimise.FactsVersion {
		if err := h.renew(w.ctx, w.tx, w.ring, w.barred); err != nil {
			return nil, err
		}
	}
	before, err := h.labels()
	if err != nil {
		return nil, err
	}
	h.Rules = minimise.FactsVersion
	if err := w.count(&h, products); err != nil {
		return nil, err
	}
	if err := w.came(); err != nil {
		return nil, err
	}
	after, err := h.labels()
	if err != nil {
		return nil, err
	}
	if !slices.Equal(before, after) {
		if err := keepReach(w.ctx, w.tx, w.ring, after); err != nil {
			return nil, err
		}
	}
	facts, err := h.Values.Facts()
	if err != nil {
		return nil, err
	}
	return facts, keepHead(w.ctx, w.tx, w.ring, h)
}

// count finds the slots of the days that the import touched, and what facts take from them.
func (w *writer) count(h *head, products []catalog.Product) error {
	schemas := map[string][]point.Schema{} // that were touched, by day
	for page := range w.touched {
		schemas[page.Day] = append(schemas[page.Day], page.Schema)
	}
	changed, err := w.months(schemas)
	if err != nil || len(changed) == 0 {
		return err
	}
	for page := range w.touched {
		name, _ := monthOf(page.Day)
		changed[name].add(page)
	}
	lost := map[string]bool{}
	for _, day := range slices.Sorted(maps.Keys(schemas)) {
		name, n := monthOf(day)
		reading, wanted, err := concerned(products, schemas[day])
		if err != nil {
			return err
		}
		list, err := points(w.ctx, w.tx, w.ring, usable(changed[name].pages(nil, wanted, n), w.barred))
		if err != nil {
			return err
		}
		for i := range reading {
			found, _, err := minimise.Stock(&reading[i], list)
			if err != nil {
				return err
			}
			var assurance point.Assurance
			if len(found) > 0 {
				assurance = found[0].Assurance
			}
			was := changed[name].set(reading[i].ID, n, assurance)
			if h.moved(reading[i].ID, day, was, assurance) {
				lost[reading[i].ID] = true
			}
		}
		if touches(schemas[day], minimise.FactSchemas()) {
			if err := h.Values.Note(day, list); err != nil {
				return err
			}
		}
	}
	if err := keepMonths(w.ctx, w.tx, w.ring, changed); err != nil {
		return err
	}
	if len(lost) == 0 {
		return nil
	}
	return h.bound(w.ctx, w.tx, w.ring, lost)
}

// months reads the months of some days; one of which there is nothing yet is empty.
func (w *writer) months(touched map[string][]point.Schema) (map[string]*month, error) {
	out := map[string]*month{}
	for day := range touched {
		name, _ := monthOf(day)
		out[name] = &month{Name: name}
	}
	if len(out) == 0 {
		return out, nil
	}
	list, err := months(w.ctx, w.tx, w.ring, slices.Collect(maps.Keys(out)))
	for i := range list {
		out[list[i].Name] = &list[i]
	}
	return out, err
}

// concerned lists the products that read some of these schemas, and all schemas that it takes to say what a day of theirs comes to.
func concerned(products []catalog.Product, touched []point.Schema) (reading []catalog.Product, wanted []point.Schema, err error) {
	for i := range products {
		schemas, err := minimise.Schemas(&products[i])
		if err != nil {
			return nil, nil, err
		}
		if touches(touched, schemas) {
			reading, wanted = append(reading, products[i]), append(wanted, schemas...)
		}
	}
	if facts := minimise.FactSchemas(); touches(touched, facts) {
		wanted = append(wanted, facts...)
	}
	return reading, wanted, nil
}

func touches(touched, schemas []point.Schema) bool {
	return slices.ContainsFunc(touched, func(s point.Schema) bool { return slices.Contains(schemas, s) })
}

// came adds what arrived to what came from the source before.
func (w *writer) came() error {
	if len(w.arrivals) == 0 {
		return nil
	}
	before, err := arrived(w.ctx, w.tx, w.ring, []id.ID{w.source})
	if err != nil {
		return err
	}
	return keepSource(w.ctx, w.tx, w.ring, w.source, sum(before[w.source], w.arrivals))
}
