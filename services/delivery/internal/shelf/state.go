package shelf

import (
	"maps"
	"slices"
	"time"
)

// State is what deciding needs of one stream: a Shelf, an Agreement or a Delivery. Nil means that the stream does not exist.
type State interface{ state() }

// Lot is what one buyer group has of one product, at whatever grain.
type Lot struct {
	Group   GroupID
	Product string
}

// Shelf is the state of the shelf's own stream. Its maps are never changed in place.
type Shelf struct {
	Lots map[Lot][]Day       // slots that are prepared or released, ascending
	Of   map[AgreementID]Lot // of agreements that have not ended
	Open map[DeliveryID]Held // packages whose key has not left
}

// Agreements lists those that have not ended, by their ids.
func (s Shelf) Agreements() []AgreementID {
	return slices.SortedFunc(maps.Keys(s.Of), func(a, b AgreementID) int { return slices.Compare(a.ID[:], b.ID[:]) })
}

// Held is the slots of a package whose key has not left: they are free again when it never does.
type Held struct {
	Lot   Lot
	Slots []Day
}

// Agreement is the state of an agreement's stream.
type Agreement struct {
	Licence  Licence
	Document Document
	Cleared  bool
	Ended    bool
	Ordered  bool // to delete what left
	Sequence int  // of the newest delivery
	Stopped  int  // deliveries that were blocked for ever while it ran: they were for nothing, and others may take their place
	Slots    int  // prepared and not given up
	Charged  int  // released
	Open     []Waits
	Released []DeliveryID
	Awaited  time.Time // when slots that are not over fall due; zero when none is waited for
}

// Waits is a delivery whose key has not left, with its slots.
type Waits struct {
	Delivery DeliveryID
	Slots    int
}

// Status says where a delivery stands.
type Status int8

// Statuses.
const (
	Waiting Status = iota + 1 // prepared
	Signed                    // the buyer has it, the key has not left
	Gone                      // the key left
	Stopped                   // the key never will
	TooLate                   // no receipt came
)

// Delivery is the state of a delivery's stream.
type Delivery struct {
	Agreement AgreementID
	Sequence  int
	Slots     int
	Digest    [32]byte
	BuyerKey  string
	Status    Status
	Blocked   string // why, last
	LapsesAt  time.Time
}

func (Shelf) state()     {}
func (Agreement) state() {}
func (Delivery) state()  {}

// Patience is for how long a package waits for its receipt where nobody says otherwise: house.
const Patience = 7 * 24 * time.Hour

// deletion is the time that a buyer has to delete: house, "without undue delay" (GDPR 17(1)).
const deletion = 30 * 24 * time.Hour

// late is for how long after a day's end its measurements are waited for, wherever on earth the day was.
const late = 36 * time.Hour

// ends is when a day has ended everywhere, and what was measured on it has had time to come.
func (d Day) ends() time.Time { return time.Unix(int64(d+1)*secondsPerDay, 0).UTC().Add(late) }

// dueAt is when all slots fall due together; zero when they do as they come.
func (l Licence) dueAt() time.Time {
	if l.Cadence != Once {
		return time.Time{}
	}
	return l.Last.ends()
}

func (d Day) over(at time.Time) bool { return !at.Before(d.ends()) }

// behind is how far the last place on earth is behind UTC.
const behind = 12 * time.Hour

// closes is when a day has ended everywhere: until then whatever was measured on it may be a part of it.
func (d Day) closes() time.Time { return time.Unix(int64(d+1)*secondsPerDay, 0).UTC().Add(behind) }

// falls is when a slot of which there are measurements falls due by itself.
func (l Licence) falls(d Day) time.Time {
	if l.Cadence == Weekly {
		return d.sunday().ends()
	}
	return d.closes()
}

// free gives the slots of a person's stock that are within an agreement and that its buyer's group has not yet, ascending.
func (a Agreement) free(s Shelf, stock []Day) (free []Day) {
	l := a.Licence
	taken := s.Lots[Lot{l.Group, l.Product}]
	for _, d := range stock {
		if d < l.First || d > l.Last {
			continue
		}
		if _, is := slices.BinarySearch(taken, d); !is && !slices.Contains(free, d) {
			free = append(free, d)
		}
	}
	slices.Sort(free)
	return free
}

// Due gives the slots of a person's stock that fall due under an agreement now, ascending, and says whether none will any more. A day
// that is not over is never due, whatever there is of it: a slot is delivered once.
func (a Agreement) Due(s Shelf, stock []Day, at time.Time) (due []Day, none bool) {
	l := a.Licence
	if !a.Cleared || a.Ended {
		return nil, false
	}
	due = slices.DeleteFunc(a.free(s, stock), func(d Day) bool { return at.Before(l.falls(d)) })
	left := l.Slots - a.Slots
	if l.Cadence == Once {
		if a.Sequence > a.Stopped {
			return nil, len(a.Open) == 0
		}
		if over := l.Last.over(at); !over && len(due) < left {
			return nil, false
		} else if over && len(due) == 0 {
			return nil, true
		}
	}
	return due[:max(0, min(len(due), left))], false
}

// After is the agreement as it is once what is due is on the shelf.
func (a Agreement) After(due []Day) Agreement {
	if len(due) > 0 {
		a.Sequence, a.Slots = a.Sequence+1, a.Slots+len(due)
	}
	return a
}

// Next is when the next of a person's stock falls due that does not now, zero where nothing of it is to come.
func (a Agreement) Next(s Shelf, stock []Day, at time.Time) (next time.Time) {
	if !a.Cleared || a.Ended || a.Slots >= a.Licence.Slots || a.Licence.Cadence == Once && a.Sequence > a.Stopped {
		return next
	}
	for _, d := range a.free(s, stock) {
		if falls := a.Licence.falls(d); at.Before(falls) && (next.IsZero() || falls.Before(next)) {
			next = falls
		}
	}
	return next
}

// sunday is the last day of a day's ISO week. 1970-01-01 was a Thursday.
func (d Day) sunday() Day {
	const thursday = 3 // days after Monday
	return d + 6 - ((d+thursday)%7+7)%7
}

// finished says whether nothing is left to deliver under an agreement, and as what it ends then.
func (a Agreement) finished() (EndReason, bool) {
	switch {
	case a.Ended, len(a.Open) > 0:
		return 0, false
	case a.Slots >= a.Licence.Slots && a.Charged > 0:
		return EndFulfilled, true
	case a.Licence.Cadence == Once && a.Charged > 0:
		return EndFulfilled, true
	case a.Licence.Cadence == Once && a.Sequence > a.Stopped:
		return EndNoSlots, true
	}
	return 0, false
}

// with returns the shelf with slots put on it.
func (s Shelf) with(agreement AgreementID, d DeliveryID, slots []Day) Shelf {
	lot := s.Of[agreement]
	all := append(slices.Clone(s.Lots[lot]), slots...)
	slices.Sort(all)
	s.Lots, s.Open = maps.Clone(s.Lots), maps.Clone(s.Open)
	if s.Lots == nil {
		s.Lots = map[Lot][]Day{}
	}
	if s.Open == nil {
		s.Open = map[DeliveryID]Held{}
	}
	s.Lots[lot] = all
	s.Open[d] = Held{Lot: lot, Slots: slots}
	return s
}

// without returns the shelf with a package gone from it; given up, its slots are free again.
func (s Shelf) without(d DeliveryID, givenUp bool) Shelf {
	held, open := s.Open[d]
	if !open {
		return s
	}
	s.Open = maps.Clone(s.Open)
	delete(s.Open, d)
	if givenUp {
		s.Lots = maps.Clone(s.Lots)
		s.Lots[held.Lot] = slices.DeleteFunc(slices.Clone(s.Lots[held.Lot]), func(day Day) bool {
			_, is := slices.BinarySearch(held.Slots, day)
			return is
		})
	}
	return s
}
