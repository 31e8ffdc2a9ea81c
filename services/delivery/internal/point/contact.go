package point

import (
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
)

// Contact is the other side of a call or message, and the cell in which the person was.
type Contact struct {
	// Direction is who began it.
	Direction Direction
	// Correspondent stands for the other person: a keyed fingerprint of their number that only this person's key can make, so that
	// the same correspondent is another id in anybody else's data. The number itself is kept nowhere.
	Correspondent id.ID
	// Cell is the operator's name of the antenna; empty where the feed has none. In form a Position.
	Cell string
}

// Direction is who began a contact.
type Direction uint8

// Directions.
const (
	// Incoming was begun by the correspondent.
	Incoming Direction = iota + 1
	// Outgoing was begun by the person.
	Outgoing
)

// String is the schemas' word; empty for none.
func (d Direction) String() string {
	switch d {
	case Incoming:
		return "incoming"
	case Outgoing:
		return "outgoing"
	}
	return ""
}

// check holds a contact to what its schema asks.
func (c *Contact) check(traffic bool) error {
	switch {
	case !traffic && *c != Contact{}:
		return fault.Invalid("body.direction", "is out of place in this schema")
	case !traffic:
		return nil
	case c.Direction.String() == "":
		return fault.Invalid("body.direction", "is neither incoming nor outgoing")
	case c.Correspondent.IsZero():
		return fault.Invalid("body.correspondent", "is missing")
	case c.Cell != "" && !IsPosition(c.Cell):
		return fault.Invalid("body.cell", "is no name of a cell")
	}
	return nil
}

func (c *Contact) appendJSON(b []byte) []byte {
	b = append(append(b, `"direction":"`...), c.Direction.String()...)
	b = append(append(b, `","correspondent":"`...), c.Correspondent.String()...)
	if c.Cell != "" {
		b = append(append(b, `","cell":"`...), c.Cell...)
	}
	return append(b, `",`...)
}
