// Package ledger derives a book's balances from settlement's events, and from nothing else. Finance, an auditor and the
// service's own checks use it: whoever has the events can say what everybody has, and that no event was altered, dropped
// or inserted. It reads the contract's bytes directly, shares no code with the service that wrote them, and keeps up with
// a log being scanned.
package ledger

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// Faults of the events themselves.
var (
	// ErrUnbalanced: the postings of an event do not sum to zero.
	ErrUnbalanced = errors.New("ledger: postings do not sum to zero")
	// ErrMalformed: an event is not of the contract.
	ErrMalformed = errors.New("ledger: malformed event")
	// ErrPartition: an event of a partition that the ledger was not told of.
	ErrPartition = errors.New("ledger: unknown partition")
)

// Account names one account.
type Account struct {
	Book  id.ID
	Kind  settlementv1.AccountKind
	Owner id.ID // zero for the operator's own
}

// Balance is what an account comes to.
type Balance struct {
	Minor    int64 // credit positive
	Residual int64 // micros below a minor unit, as last told
}

// Ledger folds events into balances. Its methods are for one goroutine.
type Ledger struct {
	checkers []es.Checker
	balances map[Account]*Balance
	events   int64
	postings int64
	scratch  []posting
}

// New makes a ledger before the first event. lives are each partition's, oldest first; a partition without any
// takes no event.
func New(lives [][]es.Life) *Ledger {
	l := &Ledger{checkers: make([]es.Checker, len(lives)), balances: map[Account]*Balance{}}
	for i := range lives {
		l.checkers[i].Lives = lives[i]
	}
	return l
}

// Apply takes a partition's next event. After an error the ledger stands where it stood.
func (l *Ledger) Apply(r *es.Record) error {
	if int(r.Partition) >= len(l.checkers) || r.Partition < 0 {
		return fmt.Errorf("%w: %d", ErrPartition, r.Partition)
	}
	checker := l.checkers[r.Partition]
	if err := checker.Check(r); err != nil {
		return err
	}
	book, err := l.read(r)
	if err != nil {
		return fmt.Errorf("%w: partition %d, position %d", err, r.Partition, r.Position)
	}
	l.checkers[r.Partition] = checker
	l.events++
	for i := range l.scratch {
		p := &l.scratch[i]
		a := Account{Book: book, Kind: p.kind, Owner: p.owner}
		b := l.balances[a]
		if b == nil {
			b = new(Balance)
			l.balances[a] = b
		}
		b.Minor += p.minor
		b.Residual = p.residual
		l.postings++
	}
	return nil
}

// Position is the newest position of a partition that was applied.
func (l *Ledger) Position(p es.Partition) es.Position { return l.checkers[p].Position }

// Events counts what was applied, and its postings.
func (l *Ledger) Events() (events, postings int64) { return l.events, l.postings }

// Balance of one account; zero where nothing was ever posted.
func (l *Ledger) Balance(a Account) Balance {
	if b := l.balances[a]; b != nil {
		return *b
	}
	return Balance{}
}

// Accounts lists every account that was posted to, by kind, book and owner.
func (l *Ledger) Accounts() []Account {
	return slices.SortedFunc(maps.Keys(l.balances), func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), slices.Compare(a.Book[:], b.Book[:]), slices.Compare(a.Owner[:], b.Owner[:]))
	})
}

// Sum is all accounts of one kind.
type Sum struct {
	Kind     settlementv1.AccountKind
	Accounts int64 // with a balance
	Minor    int64
	Digest   [sha256.Size]byte // over these accounts, as the contract's Sum says
}

// Sums is the trial balance by kind; total is zero, or the ledger would have refused an event.
func (l *Ledger) Sums() (sums []Sum, total int64) {
	digest := sha256.New()
	for _, a := range l.Accounts() {
		if len(sums) == 0 || sums[len(sums)-1].Kind != a.Kind {
			sums = append(sums, Sum{Kind: a.Kind})
			digest.Reset()
		}
		s := &sums[len(sums)-1]
		if minor := l.balances[a].Minor; minor != 0 {
			s.Accounts++
			s.Minor += minor
			total += minor
			_, _ = fmt.Fprintf(digest, "%s %d\n", a.Owner, minor) // never fails
		}
		digest.Sum(s.Digest[:0])
	}
	return sums, total
}

type posting struct {
	kind     settlementv1.AccountKind
	owner    id.ID
	minor    int64
	residual int64
}

// shape says where an arm keeps its postings: their field's number, 0 for none. The test holds it to the descriptors.
type shape struct {
	arm      protowire.Number
	postings protowire.Number
}

var shapes = map[string]shape{
	"funds_deposited":   {10, 6},
	"funds_held":        {11, 8},
	"hold_refused":      {12, 0},
	"hold_released":     {13, 6},
	"funds_earmarked":   {14, 0},
	"earmark_ended":     {15, 7},
	"delivery_settled":  {20, 15},
	"earnings_matured":  {21, 5},
	"payout_requested":  {30, 6},
	"payout_instructed": {31, 0},
	"payout_settled":    {32, 4},
	"payout_returned":   {33, 4},
	"period_closed":     {34, 0},
}

// read fills scratch with the event's postings and gives its book.
func (l *Ledger) read(r *es.Record) (book id.ID, err error) {
	l.scratch = l.scratch[:0]
	at, known := shapes[r.Type]
	if !known {
		return book, fmt.Errorf("%w: type %q", ErrMalformed, r.Type)
	}
	if at.postings == 0 {
		return book, nil
	}
	arm, ok := field(r.Data, at.arm)
	if !ok {
		return book, ErrMalformed
	}
	var sum int64
	for len(arm) > 0 {
		number, kind, n := protowire.ConsumeTag(arm)
		if n < 0 {
			return book, ErrMalformed
		}
		arm = arm[n:]
		if kind == protowire.BytesType && (number == 1 || number == at.postings) {
			b, n := protowire.ConsumeBytes(arm)
			if n < 0 {
				return book, ErrMalformed
			}
			arm = arm[n:]
			if number == at.postings {
				p, err := readPosting(b)
				if err != nil {
					return book, err
				}
				sum += p.minor
				l.scratch = append(l.scratch, p)
			} else if book, err = id.Parse(b); err != nil {
				return book, ErrMalformed
			}
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, arm); n < 0 {
			return book, ErrMalformed
		}
		arm = arm[n:]
	}
	if sum != 0 {
		return book, ErrUnbalanced
	}
	return book, nil
}

// field is the last value of a message's field of bytes.
func field(b []byte, want protowire.Number) (value []byte, ok bool) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, false
		}
		b = b[n:]
		if number == want && kind == protowire.BytesType {
			value, n = protowire.ConsumeBytes(b)
			ok = n >= 0
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return nil, false
		}
		b = b[n:]
	}
	return value, ok
}

func readPosting(b []byte) (p posting, err error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return p, ErrMalformed
		}
		b = b[n:]
		switch {
		case kind == protowire.VarintType && number <= 4:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return p, ErrMalformed
			}
			b = b[n:]
			switch number {
			case 1:
				p.kind = settlementv1.AccountKind(v)
			case 3:
				p.minor = int64(v)
			case 4:
				p.residual = int64(v)
			}
		case kind == protowire.BytesType && number == 2:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return p, ErrMalformed
			}
			b = b[n:]
			if p.owner, err = id.Parse(v); err != nil {
				return p, ErrMalformed
			}
		default:
			n := protowire.ConsumeFieldValue(number, kind, b)
			if n < 0 {
				return p, ErrMalformed
			}
			b = b[n:]
		}
	}
	return p, nil
}
