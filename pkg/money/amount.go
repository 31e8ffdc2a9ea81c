package money

// Amount is a number of minor units of a currency. Amounts can be compared with ==.
type Amount struct {
	minor    int64
	currency Currency
}

// New makes an amount of minor units.
func New(minor int64, c Currency) Amount { return Amount{minor, c} }

// Minor is the number of minor units.
func (a Amount) Minor() int64 { return a.minor }

// Currency is the amount's.
func (a Amount) Currency() Currency { return a.currency }
