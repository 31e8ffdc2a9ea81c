// Package bid decides over one bid and its offers: when it is open, who was shown what, who accepted, and when enough people
// have consented. Its root is the bid; each person's offer is a child.
//
// A slot is taken when an offer is accepted, and given back when the acceptance comes to nothing; so slots and budget are never
// exceeded however many accept at once. Until a bid has cleared, every acceptance can be undone and nobody outside knows.
// A bid is drained when it is closed and no offer of it is open any more.
package bid
