// Package wire turns offers' domain events into the contract's bytes and back, and its states into rows. What bids ask is the same for
// everybody and stands in clear, with random ids; what one person was shown and said yes to is sealed with the person's keys, but for the
// slots that it takes. States need no key: nothing of a card or a licence is in them but the card's salted hash.
package wire
