package subscriber

import (
	"maps"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Ids that must not be swapped.
type (
	ID          struct{ id.ID } // a person
	AgreementID struct{ id.ID } // an agreement, and its consent
	OfferID     struct{ id.ID }
	BidID       struct{ id.ID }
	BuyerID     struct{ id.ID }
	DeliveryID  struct{ id.ID }
	AttemptID   struct{ id.ID } // one try to have a key released
)

// On names a stream: the person's own, or with an agreement that consent's.
type On struct {
	Subscriber ID
	Agreement  AgreementID
}

// Entry is an event, where it happens and, once it is stored, its place there.
type Entry struct {
	On    On
	Event Event
	// Position of the event in its partition; 0 while it is being decided.
	Position int64
	// At is the log's time.
	At time.Time
}

// Event is a fact about a person's will.
type Event interface{ event() }

// Level says how sure the operator is of an age.
type Level int8

// Levels, weakest first.
const (
	LevelUnknown  Level = iota
	LevelDeclared       // the person's own word
	LevelContract       // the contract's identity check
	LevelDocument       // a document or an electronic identity
)

// Identity is who a person is, as far as the market must know.
type Identity struct {
	Country   string    // ISO 3166-1 alpha-2
	Language  string    // BCP 47
	Birth     time.Time // midnight UTC of the day; zero when unknown
	BirthYear int       // when no more is known; 0 when unknown
	Level     Level
	LineUser  string // the operator's reference, when not the contract's holder
}

// Enrolled: a person joined.
type Enrolled struct {
	Subscriber ID
	Identity   Identity
}

// AgeAssured: the person is at least so old at the time of the event.
type AgeAssured struct {
	Subscriber ID
	Method     string
	Level      Level
	AtLeast    int
}

// Price is millionths of a currency's major unit.
type Price struct {
	Micros   int64
	Currency string // ISO 4217
}

// Rules are what a person never wants, and how much.
type Rules struct {
	Floors         map[string]Price // by product: least net of a slot
	Matching       bool
	MatchingHealth bool
	PurposesNever  []string
	BuyersNever    []BuyerID
	ProductsNever  []string
	MaxAgreements  int // 0 means the house's limit
}

// equal says whether two are the same rules, in whatever order their lists stand.
func (r Rules) equal(o Rules) bool {
	return maps.Equal(r.Floors, o.Floors) && r.Matching == o.Matching && r.MatchingHealth == o.MatchingHealth && r.MaxAgreements == o.MaxAgreements &&
		same(r.PurposesNever, o.PurposesNever) && same(r.BuyersNever, o.BuyersNever) && same(r.ProductsNever, o.ProductsNever)
}

func same[T comparable](a, b []T) bool {
	subset := func(a, b []T) bool { return !slices.ContainsFunc(a, func(v T) bool { return !slices.Contains(b, v) }) }
	return subset(a, b) && subset(b, a)
}

// RulesSet: the rules from now on, whole.
type RulesSet struct {
	Subscriber ID
	Rules      Rules
}

// Licence is what deciding needs of what was agreed.
type Licence struct {
	Agreement  AgreementID
	Offer      OfferID
	Bid        BidID
	Buyer      BuyerID
	Subscriber ID
	Product    string
	Purpose    string
	Country    string // of the person at acceptance
	Health     bool
	ExpiresAt  time.Time
	Retention  int // days after a delivery until the buyer must have deleted it; 0 when not known
}

// Record is the consent record (ISO/IEC TS 27560), kept whole and opaque: deciding reads the Licence.
type Record []byte

// Given: this recipient, this purpose, these fields, until then.
type Given struct {
	Licence  Licence
	Record   Record
	LineUser string // as the person was enrolled: the operator's reference, when not the contract's holder
}

// Refused: the person accepted, but their own rules, their age or the law say no.
type Refused struct {
	Scope      Scope
	Subscriber ID
	Reason     string // name of the contract's Reason
}

// Initiator is who ended or paused a consent.
type Initiator int8

// Initiators.
const (
	InitiatorUnknown Initiator = iota
	InitiatorPerson
	InitiatorGuardian
	InitiatorController
	InitiatorAuthority
)

// Scope is what one consent was for: who obeys its end needs nothing of the past.
type Scope struct {
	Agreement AgreementID
	Offer     OfferID
	Bid       BidID
}

// Withdrawn: nothing of the scope may be used any more.
type Withdrawn struct {
	Subscriber ID
	Scope      []Scope
	All        bool
	Initiator  Initiator
	Awaited    AgreementID // zero, or what was withdrawn before its acceptance had come; then the scope is empty
}

// Paused: nothing of the scope may be used until resumed.
type Paused struct {
	Subscriber ID
	Scope      []Scope
	All        bool
	Initiator  Initiator
	Awaited    AgreementID // zero, or what was paused before its acceptance had come; then the scope is empty
}

// Resumed: what was paused may be used again.
type Resumed struct {
	Subscriber ID
	Scope      []Scope
	All        bool
	Awaited    AgreementID // zero, or what was paused before its acceptance had come, and may come as any other now; then the scope is empty
}

// Expiry says why a consent ended by itself.
type Expiry int8

// Expiries.
const (
	ExpiryUnknown   Expiry = iota
	ExpiryTime             // its time was over
	ExpiryVoided           // the offer came to nothing
	ExpiryFulfilled        // everything was delivered
)

// Expired: the consent ended by itself.
type Expired struct {
	Subscriber ID
	Scope      Scope
	Reason     Expiry
}

// Released: at this moment the consent allowed this key to leave.
type Released struct {
	Subscriber      ID
	Agreement       AgreementID
	Delivery        DeliveryID
	Attempt         AttemptID
	ConsentPosition int64 // of the Given
}

// ErasureRequested: the person asked to be forgotten.
type ErasureRequested struct {
	Subscriber ID
	Retention  []int32 // classes of obole.event.v1.Retention
}

func (Enrolled) event()         {}
func (AgeAssured) event()       {}
func (RulesSet) event()         {}
func (Given) event()            {}
func (Refused) event()          {}
func (Withdrawn) event()        {}
func (Paused) event()           {}
func (Resumed) event()          {}
func (Expired) event()          {}
func (Released) event()         {}
func (ErasureRequested) event() {}
