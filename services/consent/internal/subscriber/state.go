package subscriber

import (
	"bytes"
	"cmp"
	"maps"
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

// HouseLimit bounds the agreements that a person may have at once: a person's state stays small.
const HouseLimit = 200

// State is what deciding needs of one stream: a Person, or an Answered consent. Nil means that the stream does not exist.
type State interface{ state() }

// Person is the state of the person's own stream. Living is never changed in place.
type Person struct {
	Identity  Identity
	AtLeast   int       // years, assured by the operator
	AssuredAt time.Time // when
	Rules     Rules
	PausedAll bool
	// WithdrawnAll is when everything was withdrawn last: what was accepted before is no consent any more.
	WithdrawnAll time.Time
	// Awaited are agreements that were withdrawn before their acceptances had come here, and when. Never changed in place.
	Awaited map[AgreementID]time.Time
	// ClosedAt is when the account was closed; zero while it is open.
	ClosedAt time.Time
	// HeldBack are agreements that were paused before their acceptances had come here, and when. Never changed in place.
	HeldBack map[AgreementID]time.Time
	Living   map[AgreementID]Consent
	// Past are consents that ended by themselves and whose buyer may still hold the data: they can be withdrawn. Never changed in place.
	Past map[AgreementID]Past
}

// Closed says that the person has left.
func (p Person) Closed() bool { return !p.ClosedAt.IsZero() }

// Consent is one that was given and has not ended.
type Consent struct {
	Offer     OfferID
	Bid       BidID
	Buyer     BuyerID
	ExpiresAt time.Time
	Position  int64 // of the Given
	Paused    bool
	Retention int // days after a delivery until the buyer must have deleted it; 0 when not known
}

// Past is a consent that ended by itself.
type Past struct {
	Offer OfferID
	Bid   BidID
	Until time.Time // when the buyer must have deleted what it was given last
}

const (
	// MaxPast bounds the past consents of one person that can be withdrawn: house. Where there are more, those go first whose data the
	// buyer must delete first.
	MaxPast = 500
	// longest is the longest retention that a bid may ask for, in days: the contract's bound of NewBid.retention_days. It is assumed
	// where a consent's own is not known.
	longest = 3650
)

// Answered is the state of a consent's own stream: given or refused, and never asked again.
type Answered struct {
	Given   bool
	Expired bool // ended by itself; a consent that was given, lives no more and did not expire was withdrawn
}

func (Person) state()   {}
func (Answered) state() {}

// Law is what a country's policy pack says, as far as consent must know.
type Law struct {
	Country    string // ISO 3166-1 alpha-2
	AdultAge   int    // years
	PaidHealth bool   // whether identifiable health data may be paid for at all
}

// Eligible says why no paid offer may be made to the person at this time, nil when one may.
func (p Person) Eligible(law Law, at time.Time) *fault.Error {
	switch {
	case p.Closed():
		return ErrAccountClosed
	case !p.Identity.Birth.IsZero():
		if p.Identity.Birth.AddDate(law.AdultAge, 0, 0).After(at) {
			return ErrUnderAge
		}
	case p.AtLeast > 0:
		if p.AssuredAt.AddDate(law.AdultAge-p.AtLeast, 0, 0).After(at) {
			return ErrUnderAge
		}
	case p.Identity.BirthYear > 0:
		// A year alone proves the age only from a difference of one more.
		if at.Year()-p.Identity.BirthYear <= law.AdultAge {
			return ErrUnderAge
		}
	default:
		return ErrAgeUnknown
	}
	return nil
}

// Allows says why a consent's data may not be used at this time, nil when they may. own is the state of the consent's
// own stream.
func (p Person) Allows(a AgreementID, own State, at time.Time) *fault.Error {
	c, ok := p.Living[a]
	if !ok {
		answer, _ := own.(Answered)
		switch {
		case !answer.Given:
			return ErrConsentUnknown
		case answer.Expired:
			return ErrExpired
		}
		return ErrWithdrawn
	}
	switch {
	case !at.Before(c.ExpiresAt):
		return ErrExpired
	case p.PausedAll || c.Paused:
		return ErrPaused
	}
	return nil
}

// skew is by how much the clocks of two services' logs may differ: house. An acceptance that is nearer than that to a withdrawal of
// everything counts as made before it; the person may accept again.
const skew = 2 * time.Second

// An acceptance is answered with a yes within answerWithin of being made, or not at all: the market takes no later answer. So a
// withdrawal that came before its acceptance is kept for that long, with the difference of the clocks, and at most MaxAwaited of
// them at a time, whatever ids somebody invents: house.
const (
	answerWithin = 15 * time.Minute
	awaitFor     = answerWithin + 2*skew
	// MaxAwaited bounds the withdrawals and pauses of one person that wait for their acceptances.
	MaxAwaited = 64
)

// awaits says whether this agreement was withdrawn before its acceptance came.
func (p Person) awaits(a AgreementID, at time.Time) bool { return waits(p.Awaited, a, at) }

// holdsBack says whether this agreement was paused before its acceptance came.
func (p Person) holdsBack(a AgreementID, at time.Time) bool { return waits(p.HeldBack, a, at) }

func waits(list map[AgreementID]time.Time, a AgreementID, at time.Time) bool {
	since, ok := list[a]
	return ok && at.Before(since.Add(awaitFor))
}

// awaiting counts what is still awaited, withdrawn or paused.
func (p Person) awaiting(at time.Time) int {
	return len(waiting(p.Awaited, at)) + len(waiting(p.HeldBack, at))
}

// waiting copies what has not been awaited for too long.
func waiting(list map[AgreementID]time.Time, at time.Time) map[AgreementID]time.Time {
	out := make(map[AgreementID]time.Time, len(list)+1)
	for a, since := range list {
		if waits(list, a, at) {
			out[a] = since
		}
	}
	return out
}

// await returns the person with one more agreement awaited, and without those whose time is over. What was withdrawn is not held back
// as well: it does not come.
func (p Person) await(a AgreementID, at time.Time) Person {
	p.Awaited = waiting(p.Awaited, at)
	p.Awaited[a] = at
	return p.letGo(a)
}

// holdBack returns the person with one more agreement held back, and without those whose time is over.
func (p Person) holdBack(a AgreementID, at time.Time) Person {
	p.HeldBack = waiting(p.HeldBack, at)
	p.HeldBack[a] = at
	return p
}

// letGo returns the person with one agreement less held back.
func (p Person) letGo(a AgreementID) Person {
	if _, ok := p.HeldBack[a]; ok {
		p.HeldBack = maps.Clone(p.HeldBack)
		delete(p.HeldBack, a)
	}
	return p
}

// limit is the number of agreements that the person may have at once.
func (p Person) limit() int {
	if n := p.Rules.MaxAgreements; n > 0 && n < HouseLimit {
		return n
	}
	return HouseLimit
}

func (p Person) scope(a AgreementID) Scope {
	c := p.Living[a]
	return Scope{Agreement: a, Offer: c.Offer, Bid: c.Bid}
}

// with returns the person with one living consent set.
func (p Person) with(a AgreementID, c Consent) Person {
	living := make(map[AgreementID]Consent, len(p.Living)+1)
	maps.Copy(living, p.Living)
	living[a] = c
	p.Living = living
	return p
}

// outlive returns the person with a consent ended by itself. Nothing leaves after its end, so the retention of what left last is over
// at the latest that long after it.
func (p Person) outlive(s Scope, at time.Time) Person {
	c, lived := p.Living[s.Agreement]
	if !lived {
		return p
	}
	days := c.Retention
	if days == 0 {
		days = longest
	}
	past := make(map[AgreementID]Past, len(p.Past)+1)
	for a, was := range p.Past {
		if at.Before(was.Until) {
			past[a] = was
		}
	}
	past[s.Agreement] = Past{Offer: c.Offer, Bid: c.Bid, Until: at.AddDate(0, 0, days)}
	for len(past) > MaxPast {
		var first AgreementID
		for a, was := range past {
			if first.IsZero() || cmp.Or(was.Until.Compare(past[first].Until), bytes.Compare(a.ID[:], first.ID[:])) < 0 {
				first = a
			}
		}
		delete(past, first)
	}
	p.Past = past
	return p.without([]Scope{s})
}

// Holds says whether the buyer may still hold at this time what it was given under a consent that ended by itself.
func (p Person) Holds(a AgreementID, at time.Time) bool {
	_, held := p.retained(a, at)
	return held && !p.PausedAll
}

// retained is the scope of a past consent whose data the buyer may still hold at this time.
func (p Person) retained(a AgreementID, at time.Time) (Scope, bool) {
	was, ok := p.Past[a]
	return Scope{Agreement: a, Offer: was.Offer, Bid: was.Bid}, ok && at.Before(was.Until)
}

// recall returns the person with these consents withdrawn, living or past.
func (p Person) recall(scope []Scope) Person {
	past := maps.Clone(p.Past)
	for _, s := range scope {
		delete(past, s.Agreement)
	}
	p.Past = past
	return p.without(scope)
}

// without returns the person with these consents ended.
func (p Person) without(scope []Scope) Person {
	living := maps.Clone(p.Living)
	for _, s := range scope {
		delete(living, s.Agreement)
	}
	p.Living = living
	return p
}
