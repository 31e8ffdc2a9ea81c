// Package demo plays the market's story on a market of its own: real people's measurements, and ages, rules, answers and
// buyers that cast.json declares synthetic.
package demo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

//go:embed cast.json
var castFile []byte

// cast is who takes part.
type cast struct {
	Synthetic string   // what of it is made up: everything but the measurements
	Zone      string   // of the measurements, which name none
	Mobile    []string // participants to whom the operator's feed is given; it is not theirs
	Walker    walker
	Buyers    []role
	People    []someone
}

// walker is the participant whose steps come day by day: so many days, then a withdrawal, then some more days.
type walker struct {
	Participant string
	Days, After int
}

// role is a buyer: who it is and what it asks for, in the contract's JSON.
type role struct {
	Deposit     string
	Entity, Bid json.RawMessage
}

// someone is a person: a participant of the study, and what is made up about them.
type someone struct {
	Participant string
	Born        string // empty: unknown
	Country     string
	Floors      map[string]string // least net price of a slot, by product
	Never       []string          // purposes
	Without     []string          // optional fields that they keep to themselves
	Declines    bool              // everything
}

func readCast() (*cast, error) {
	c := new(cast)
	if err := json.Unmarshal(castFile, c); err != nil {
		return nil, fmt.Errorf("cast.json: %w", err)
	}
	return c, nil
}

// bid is what the role asks for, as the buyer with the id.
func (r *role) bid(buyer string, closes time.Time) (*offersv1.NewBid, error) {
	b := new(offersv1.NewBid)
	if err := protojson.Unmarshal(r.Bid, b); err != nil {
		return nil, fmt.Errorf("cast.json: %w", err)
	}
	b.BuyerId, b.ClosesAt = buyer, closes.UnixMicro()
	return b, nil
}

func (r *role) entity() (*offersv1.LegalEntity, error) {
	e := new(offersv1.LegalEntity)
	if err := protojson.Unmarshal(r.Entity, e); err != nil {
		return nil, fmt.Errorf("cast.json: %w", err)
	}
	return e, nil
}
