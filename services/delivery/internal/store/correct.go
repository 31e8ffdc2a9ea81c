package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Refusals of a correction, named by the contract's Reason.
var (
	ErrPointUnknown    = fault.NotFound("POINT_UNKNOWN", "there is no such point")
	ErrPointSuperseded = fault.Conflict("POINT_SUPERSEDED", "the point was corrected since: the newer one is to be corrected")
)

// Correction is what a correction came to.
type Correction struct {
	Point      id.ID   `json:"point"`
	Supersedes id.ID   `json:"supersedes"`
	Schema     string  `json:"schema"`
	Day        string  `json:"day"`
	Deliveries []id.ID `json:"deliveries"` // that carry the earlier value
}

// Correct puts a person's own word in the place of a point: says has the id of the point that it supersedes, that point's schema, frame
// and position, and other quantities. The earlier one stays in its page as superseded; where the person goes back to what a superseded
// point said, that one counts again, as far as it could be trusted. What the same command says is one correction; what it says another
// time is refused with ErrOther. The correction is kept as an import is, until its event is in the log.
func (s Store) Correct(
	ctx context.Context, ring *vault.Ring, products []catalog.Product, command id.ID, hash [32]byte, says point.Point, deliveries []id.ID, at time.Time,
) (Import, error) {
	subject := ring.Subject()
	out := Import{ID: id.Derive([]byte("correction"), subject[:], command[:]), Subscriber: subject, File: hash, Rules: minimise.FactsVersion}
	err := s.alone(ctx, ring, func(tx pgx.Tx) error {
		known, err := kept(ctx, tx, ring, out.ID)
		if err != nil {
			return err
		}
		if known != nil {
			if known.File != hash {
				return ErrOther
			}
			out = *known
			return errRepeated
		}
		w := &writer{ctx: ctx, tx: tx, ring: ring, touched: map[Page]bool{}}
		done, err := w.correct(says)
		if err != nil {
			return err
		}
		done.Deliveries = deliveries
		out.Source, out.Corrected = w.source, done
		if out.Facts, err = w.derive(products); err != nil {
			return err
		}
		return insert(ctx, tx, ring, &out, at)
	})
	return out, err
}

// correct finds the point and its page, and writes it anew.
func (w *writer) correct(says point.Point) (*Correction, error) {
	name, n := monthOf(says.Day())
	list, err := months(w.ctx, w.tx, w.ring, []string{name})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrPointUnknown
	}
	for _, page := range list[0].pages(nil, []point.Schema{says.Schema}, n) {
		all, err := whole(w.ctx, w.tx, w.ring, []Page{page})
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(p point.Point) bool { return p.ID == says.ID })
		if i < 0 {
			continue
		}
		w.source, w.touched[page] = page.Source, true
		made, err := replace(&all, i, says, w.ring.Subject())
		if err != nil {
			return nil, err
		}
		return &Correction{Point: made, Supersedes: says.ID, Schema: page.Schema.String(), Day: page.Day}, w.write(page, all)
	}
	return nil, ErrPointUnknown
}

// replace puts what a person says in the place of the i-th point of a page, and gives the id of what stands there now.
func replace(all *[]point.Point, i int, says point.Point, who id.ID) (id.ID, error) {
	was := &(*all)[i]
	same := func(a, b point.Value) bool { return a.Measure == b.Measure }
	switch {
	case !was.SupersededBy.IsZero():
		return id.ID{}, ErrPointSuperseded.And("superseded_by", was.SupersededBy)
	case !was.Frame.Equal(says.Frame), was.Position != says.Position:
		return id.ID{}, fault.Invalid("point.body", "is of another time or position than the point: only quantities are corrected")
	case !slices.EqualFunc(was.Values, says.Values, same):
		return id.ID{}, fault.Invalid("point.body", "has other quantities than the point: each is corrected, none comes or goes")
	case slices.Equal(was.Values, says.Values):
		return id.ID{}, fault.Invalid("point.body", "says what the point says")
	}
	made := *was
	made.Values, made.Modality, made.Created, made.Assurance = says.Values, point.SelfReported, says.Created, point.OwnFile
	made.ID = point.Identify(who, was.Source, &made)
	was.SupersededBy = made.ID
	if at := slices.IndexFunc(*all, func(p point.Point) bool { return p.ID == made.ID }); at >= 0 {
		(*all)[at].SupersededBy = id.ID{}
		return made.ID, nil
	}
	*all = append(*all, made)
	return made.ID, nil
}

// insert keeps what an import or a correction came to.
func insert(ctx context.Context, tx pgx.Tx, ring *vault.Ring, i *Import, at time.Time) error {
	plain, err := json.Marshal(i)
	if err != nil {
		return err
	}
	box, err := ring.SealBytes(content, aad("import "+i.ID.String(), ring), plain)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `insert into store.import (import, subscriber, box, at, recorded) values ($1, $2, $3, $4, false)`,
		[16]byte(i.ID), [16]byte(i.Subscriber), box, at); err != nil {
		return fmt.Errorf("store: import: %w", err)
	}
	return nil
}
