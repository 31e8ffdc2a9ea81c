package money

// MaxMicros is the highest price of a slot, 10^9 major units, as the contract says (obole.money.v1.UnitPrice).
const MaxMicros = 1_000_000_000_000_000

// Price is what one slot costs. The zero Price has no currency.
type Price struct {
	micros   int64
	currency Currency
}

// NewPrice makes a price of 0 to MaxMicros, else ErrRange.
func NewPrice(micros int64, c Currency) (Price, error) {
	if micros < 0 || micros > MaxMicros {
		return Price{}, ErrRange
	}
	return Price{micros, c}, nil
}

// Micros is the price in millionths of the major unit.
func (p Price) Micros() int64 { return p.micros }

// Currency is the price's.
func (p Price) Currency() Currency { return p.currency }
