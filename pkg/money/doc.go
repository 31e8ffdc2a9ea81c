// Package money has what is paid in, without ever losing any of it: integers with a currency, and no floating point.
//
//   - Amount: minor units (cents), what accounts hold and what is posted;
//   - Price: millionths of the major unit (micros) for one slot, never negative.
//
// Divide shares a price out and LargestRemainder an amount, to the last unit. What is below a minor unit the ledger keeps until it is one.
// The package knows no exchange rates, and formats for machines and terminals, not for a reader's language.
package money
