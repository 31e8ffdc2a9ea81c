package es

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// FirstChain is what the first event of a partition builds on: SHA-256 of its incarnation.
func FirstChain(i Incarnation) Chain { return sha256.Sum256(i[:]) }

// Reborn is what the first event of a later incarnation builds on: SHA-256 of that incarnation and of the chain of the
// newest event before it. A life that begins in an empty partition builds on FirstChain.
func (c Chain) Reborn(i Incarnation) Chain {
	return sha256.Sum256(append(i[:], c[:]...))
}

// NextChain is the chain up to and with r: SHA-256 over the chain before, the event's id, the stream, the version, the
// type and the data. Stream, type and data come with their length before them; lengths and version are 8 bytes, big
// endian. Position, command and time are not part of it: position is the number of links, the others are
// the log's own.
func NextChain(before Chain, r *Record) Chain {
	var room [1024]byte // longer events move to the heap
	b := append(room[:0], before[:]...)
	b = append(b, r.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.Stream)))
	b = append(b, r.Stream...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Version))
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.Type)))
	b = append(b, r.Type...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.Data)))
	b = append(b, r.Data...)
	return sha256.Sum256(b)
}

// Life is one incarnation of a partition.
type Life struct {
	Incarnation Incarnation
	// After is the newest position of the life before, 0 for the first.
	After Position
	// Before is the chain of the event at After.
	Before Chain
}

// Base is the chain that the life's first event builds on.
func (l Life) Base() Chain {
	if l.After == 0 {
		return FirstChain(l.Incarnation)
	}
	return l.Before.Reborn(l.Incarnation)
}

// LifeAt picks the life to which a position belongs, of lives ordered from the oldest. Position 0 belongs to the first.
func LifeAt(lives []Life, at Position) Life {
	var found Life
	for i, l := range lives {
		if i == 0 || l.After < at {
			found = l
		}
	}
	return found
}

// Checker follows one partition and vouches that nothing was altered, dropped or inserted: every record must be the
// next one and continue the chain. Its zero value with Lives set begins before the first event; set Position and Chain
// to begin later.
type Checker struct {
	// Lives of the partition, oldest first.
	Lives []Life
	// Position and Chain of the newest record that was checked.
	Position Position
	Chain    Chain
}

// Check takes the next record. It returns ErrGap or ErrChain, and then has not moved.
func (c *Checker) Check(r *Record) error {
	if r.Position != c.Position+1 {
		return fmt.Errorf("%w: partition %d: position %d follows %d", ErrGap, r.Partition, r.Position, c.Position)
	}
	if NextChain(c.base(), r) != r.Chain {
		return fmt.Errorf("%w: partition %d, position %d", ErrChain, r.Partition, r.Position)
	}
	c.Position, c.Chain = r.Position, r.Chain
	return nil
}

// base is the chain that the next record builds on.
func (c *Checker) base() Chain {
	for i := len(c.Lives) - 1; i >= 0; i-- {
		switch l := c.Lives[i]; {
		case l.After == c.Position:
			// The chain of the record just read, not the stored one: the stored one is a claim.
			l.Before = c.Chain
			return l.Base()
		case l.After < c.Position:
			return c.Chain
		}
	}
	return c.Chain
}
