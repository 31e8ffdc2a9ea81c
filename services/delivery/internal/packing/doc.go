// Package packing makes packages: it reads what is due under an agreement, keeps what was granted of it and nothing else, puts a
// pseudonym of the agreement's series in the person's place, encrypts the result under a fresh content key, and has the
// shelf take it.
//
// The package and its key are stored before the shelf decides, so that what the log knows is always there. What was stored for
// nothing is swept away later.
package packing
