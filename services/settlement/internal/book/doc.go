// Package book is the ledger of one operator and currency: what buyers put in, what is held for their bids, and how each
// delivery is split between the person, the operator and the state.
//
// # Accounts
//
// An account's balance is an integer of minor units, credit positive; the postings of every event sum to zero. The states of
// a book hold the balances, each in one place: a Buyer its available money, a Hold its part of the held money, an Earner a
// person's earnings until they are asked for, a Payout what was asked for at once and what was paid of it, the Operator the rest. What a batch of events does to all states together sums to zero too
// (Conserve), which is checked apart from the postings.
//
// # Prices below a minor unit
//
// Prices are millionths of the major unit ("micros"), so a delivery may be worth less than a cent. A hold is charged what
// its deliveries are worth in all, rounded down to a minor unit, less what it was charged before: nobody pays a fraction,
// and no fraction is lost before the hold ends. What is charged is split between person, commission and withholding by
// largest remainder; each owner's residual is what is exactly theirs less what was posted, and when it reaches a minor
// unit that unit is posted against ROUNDING. Hence at any moment, in micros:
//
//	unit × ROUNDING = sum of the owners' residuals − sum of the holds' uncharged fractions
//
// which Explain checks, and which leaves nothing in the book that a person with a pencil could not derive.
package book
