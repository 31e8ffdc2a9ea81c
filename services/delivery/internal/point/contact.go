package point

import "github.com/obole-market/obole/pkg/id"

// Contact is the other side of a call or message, and the cell in which the person was. Where nobody else is part of it, as of a stay in
// a cell and of data use, it is the cell alone.
type Contact struct {
	// Direction is who began it; zero where nobody else is part of it.
	Direction Direction
	// Correspondent stands for the other person: a keyed fingerprint of their number that only this person's key can make, so that
	// the same correspondent is another id in anybody else's data. The number itself is kept nowhere. Zero where there is none.
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
func (c *Contact) check(kind trafficKind) error {
	switch {
	case kind != withSomebody && (c.Direction != 0 || !c.Correspondent.IsZero()):
		return OutOfPlace.Says("is out of place in this schema").Of("body.direction")
	case kind == 0 && c.Cell != "":
		return OutOfPlace.Says("is out of place in this schema").Of("body.cell")
	case kind == withSomebody && c.Direction.String() == "":
		return NotAllowed.Says("is neither incoming nor outgoing").Of("body.direction")
	case kind == withSomebody && c.Correspondent.IsZero():
		return Missing.Says("is missing").Of("body.correspondent")
	case kind == inCell && c.Cell == "":
		return Missing.Says("is missing").Of("body.cell")
	case c.Cell != "" && !IsPosition(c.Cell):
		return NotAllowed.Says("is no name of a cell").Of("body.cell")
	}
	return nil
}

func (c *Contact) appendJSON(b []byte) []byte {
	if c.Direction != 0 {
		b = append(append(b, `"direction":"`...), c.Direction.String()...)
		b = append(append(b, `","correspondent":"`...), c.Correspondent.String()...)
		b = append(b, `",`...)
	}
	if c.Cell != "" {
		b = append(append(b, `"cell":"`...), c.Cell...)
		b = append(b, `",`...)
	}
	return b
}
