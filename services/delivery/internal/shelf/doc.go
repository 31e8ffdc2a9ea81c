// Package shelf decides what leaves about one person, and that it arrived. Its root is the shelf; its children are the person's
// agreements and their deliveries.
//
// A slot is charged once per buyer group: the shelf's own state holds which slots of which product each group has, so two
// agreements of one group never carry the same day. A delivery is prepared, then its key is released, or it is blocked or
// lapses; once an agreement has ended nothing of it is ever released, and AgreementEnded is the last that is told of it but for
// the order to delete.
//
// The package is pure: what a person has, what a package holds and whether consent's gate has let it go are told by the
// command.
package shelf
