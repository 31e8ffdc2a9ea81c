package es

import (
	"context"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Partition numbers one of a log's N independent sequences, from 0. N is fixed at the log's birth.
type Partition int32

// Position is a place in a partition: dense, from 1. 0 is before the first event.
type Position int64

// Version is a place in a stream: dense, from 1. 0 means that the stream does not exist.
type Version int64

// Stream names what an event happened to: "<root>" or "<root>/<child>", both ids in text form.
type Stream string

// Incarnation is one life of a partition's positions. After a restore that lost a tail, positions would be used again
// with other content; readers tell the two lives apart by it.
type Incarnation [16]byte

// Chain is the running hash of a partition up to and with one event.
type Chain [32]byte

// StreamOf names the stream of a root itself.
func StreamOf(root id.ID) Stream { return Stream(root.String()) }

// Child names a child's stream of the same root.
func (s Stream) Child(child id.ID) Stream {
	var name [2*36 + 1]byte
	return Stream(child.Append(append(append(name[:0], s.Root()...), '/')))
}

// Root is the part of the name that picks the partition.
func (s Stream) Root() string {
	root, _, _ := strings.Cut(string(s), "/")
	return root
}

// Record is one event as the log stores it, as its topic carries it and as every reader sees it.
type Record struct {
	Partition Partition
	Position  Position
	ID        id.ID // of the event; random, version 4
	Stream    Stream
	Version   Version
	Command   id.ID // of the command that caused it
	Ordinal   int32 // among the events of that command, from 0
	Type      string
	Data      []byte    // the context's Event message
	Meta      []byte    // Meta in its own encoding: what the log knows beside the event
	At        time.Time // the log's time, UTC, whole microseconds
	Chain     Chain
}

// Tail is the newest position of a partition with what the next append builds on.
type Tail struct {
	Incarnation Incarnation
	Position    Position
	// Chain that the next event builds on: that of the event at Position, or where the incarnation begins after it,
	// the incarnation's Base.
	Chain Chain
	// At is the time of the event at Position, zero when there is none. No later event is earlier.
	At time.Time
}

// Cursor says how far a command's answer reaches: a query that waits for it sees the command's effect.
type Cursor struct {
	Service     string
	Incarnation Incarnation
	Partition   Partition
	Position    Position
}

// Reader is the side of a log that relays, projections and replays use.
type Reader interface {
	// Partitions is N.
	Partitions() int
	// Tail reads the newest position of a partition.
	Tail(ctx context.Context, p Partition) (Tail, error)
	// Lives lists the incarnations of a partition, the oldest first. A reader that checks the chain needs them.
	Lives(ctx context.Context, p Partition) ([]Life, error)
	// Scan calls visit for at most limit records after the position, in order, and says how many it visited. The
	// record and its slices are only valid during the call. An error of visit ends the scan and is returned as it is.
	Scan(ctx context.Context, p Partition, after Position, limit int, visit func(*Record) error) (int, error)
	// Pick calls visit for those of some positions of a partition that there are, in order. The positions are in order, each once;
	// the record and visit's error are as in Scan.
	Pick(ctx context.Context, p Partition, at []Position, visit func(*Record) error) error
	// Fresh lends the newest records after a position, with the life they are of, if this process has appended them a
	// moment ago: who follows a log need not read again what was just written. nil: read the log. What is lent is never
	// changed.
	Fresh(p Partition, after Position) ([]Record, Incarnation)
	// Wake returns a channel that receives after this process has appended to the partition. It is a hint with room
	// for one: a reader that also polls loses nothing. Each call makes a channel of its own, kept as long as the log:
	// call it once per reader.
	Wake(p Partition) <-chan struct{}
}
