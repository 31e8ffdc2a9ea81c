// Package money counts money without ever losing any. There are three quantities, all integers with a currency:
//
//   - Amount: minor units (cents), what accounts hold and what is posted;
//   - Price: millionths of the major unit (micros) for one slot, never negative;
//   - Exact: micros, what a price times slots comes to before anything is rounded.
//
// Adding, subtracting and comparing fail on mixed currencies and on overflow; there is no arithmetic that wraps, and no
// floating point. What is below a minor unit is kept: an Accrual takes exact amounts in and gives minor units out as soon as it
// has them, so that nobody gains or loses a micro however small the deliveries are.
//
//	price, _ := money.ParsePrice("0.035 EUR")
//	total, _ := price.Times(7)               // 0.245 EUR
//	post, rest := total.Split()              // 0.24 EUR and 0.005 EUR
//
// The package knows no exchange rates, and formats for machines and terminals, not for a reader's language.
package money
