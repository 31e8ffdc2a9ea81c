package subscriber

import (
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
	Living  map[AgreementID]Consent
	// ClosedAt is when the account was closed; zero while it is open.
	ClosedAt time.Time
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
}

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
	// MaxAwaited bounds the withdrawals of one person that wait for their acceptances.
	MaxAwaited = 64
)

// awaits says whether this agreement was withdrawn before its acceptance came.
func (p Person) awaits(a AgreementID, at time.Time) bool {
	since, ok := p.Awaited[a]
	return ok && at.Before(since.Add(awaitFor))
}

// awaiting counts what is still awaited.
func (p Person) awaiting(at time.Time) (n int) {
	for a := range p.Awaited {
		if p.awaits(a, at) {
			n++
		}
	}
	return n
}

// await returns the person with one more agreement awaited, and without those whose time is over.
func (p Person) await(a AgreementID, at time.Time) Person {
	awaited := make(map[AgreementID]time.Time, len(p.Awaited)+1)
	for other, since := range p.Awaited {
		if p.awaits(other, at) {
			awaited[other] = since
		}
	}
	awaited[a] = at
	p.Awaited = awaited
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

// without returns the person with these consents ended.
func (p Person) without(scope []Scope) Person {
	living := maps.Clone(p.Living)
	for _, s := range scope {
		delete(living, s.Agreement)
	}
	p.Living = living
	return p
}
