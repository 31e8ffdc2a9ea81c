package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/obole-market/obole/pkg/es"
)

// Faults of a topic.
var (
	// ErrGap: positions are missing and the owner does not give them.
	ErrGap = errors.New("bus: the topic lacks events")
	// ErrChain: an event was altered on its way.
	ErrChain = errors.New("bus: an event does not continue the chain")
	// ErrIncarnation: the owner's log has lost events that this reader has handled. No reader can make up for it: restore
	// the owner with fsck --reconcile, or rebuild the reader.
	ErrIncarnation = errors.New("bus: the owner's log is no longer the one that was read")
)

// sorter makes the next events of a partition out of what was fetched: repeats dropped, gaps filled, the chain checked.
type sorter struct {
	*Feed
	*reader
	at     Checkpoint // of the newest event that was taken
	known  es.Incarnation
	events []Received
}

// sort gives the events of an answer and the checkpoint after them.
func (s *sorter) sort(ctx context.Context, got *fetched) (Checkpoint, []Received, error) {
	before := s.at
	s.events = nil
	next, err := got.each(
		func(rec *record) error { return s.record(ctx, rec) },
		func(err error, count int) error { return s.spoilt(ctx, err, count) },
	)
	after := s.at
	after.Offset = next
	s.at = before // until the events are taken
	return after, s.events, err
}

func (s *sorter) record(ctx context.Context, rec *record) error {
	var r Received
	marker, err := s.event(rec, &r)
	switch {
	case err != nil:
		s.passed(s.at.Topic, "foreign")
		return nil //nolint:nilerr // counted, and no reader's matter
	case marker:
		return nil
	case r.Position <= s.at.Position:
		s.passed(s.at.Topic, "repeat")
		return s.sameLog(ctx, r.Incarnation)
	case r.Position > s.at.Position+1:
		s.passed(s.at.Topic, "gap")
		if err := s.refetch(ctx, r.Position-1); err != nil {
			return err
		}
	}
	if err := s.take(&r); err != nil {
		if s.Refetch == nil {
			return err
		}
		// What the topic holds is not what the owner stored: say so, and take what the owner has.
		s.alarm(s.at.Topic, s.at.Partition, err)
		s.passed(s.at.Topic, "altered")
		return s.refetch(ctx, r.Position)
	}
	return nil
}

// take adds the next event.
func (s *sorter) take(r *Received) error {
	if r.Position != s.at.Position+1 {
		return fmt.Errorf("%w: %s/%d position %d after %d", ErrGap, s.at.Topic, s.at.Partition, r.Position, s.at.Position)
	}
	before := s.at.Chain
	switch {
	case s.at.Position == 0:
		before = es.FirstChain(r.Incarnation)
	case r.Incarnation != s.at.Incarnation:
		before = s.at.Chain.Reborn(r.Incarnation)
	}
	if es.NextChain(before, &r.Record) != r.Chain {
		return fmt.Errorf("%w: %s/%d position %d", ErrChain, s.at.Topic, s.at.Partition, r.Position)
	}
	s.events = append(s.events, *r)
	s.at.Incarnation, s.at.Position, s.at.Chain = r.Incarnation, r.Position, r.Chain
	return nil
}

// refetch takes the events up to a position from their owner.
func (s *sorter) refetch(ctx context.Context, upTo es.Position) error {
	if s.Refetch != nil {
		err := s.Refetch(ctx, s.at.Topic, s.at.Partition, s.at.Position, upTo, func(inc es.Incarnation, r *es.Record) error {
			return s.take(&Received{Record: *r, Incarnation: inc})
		})
		if err != nil {
			return fmt.Errorf("%w: %s/%d after position %d: %w", ErrGap, s.at.Topic, s.at.Partition, s.at.Position, err)
		}
	}
	if s.at.Position != upTo {
		return fmt.Errorf("%w: %s/%d after position %d up to %d", ErrGap, s.at.Topic, s.at.Partition, s.at.Position, upTo)
	}
	return nil
}

// spoilt makes up for a damaged batch, at most so far as it says that it went: the number is damaged perhaps. What is still
// missing then is a gap before the next batch.
func (s *sorter) spoilt(ctx context.Context, err error, count int) error {
	s.alarm(s.at.Topic, s.at.Partition, err)
	s.passed(s.at.Topic, "spoilt")
	if s.Refetch == nil || count <= 0 || count > maxBatch {
		return nil
	}
	if err := s.refetch(ctx, s.at.Position+es.Position(count)); err != nil && !errors.Is(err, ErrGap) {
		return err
	}
	return nil
}

// sameLog asks, when a repeat is of another incarnation than the newest event, whether that is an older one, as in a topic
// that was filled again, or a later one, which began before what was read already.
func (s *sorter) sameLog(ctx context.Context, inc es.Incarnation) error {
	if inc == s.at.Incarnation || inc == s.known || s.Refetch == nil {
		return nil
	}
	same := false
	err := s.Refetch(ctx, s.at.Topic, s.at.Partition, s.at.Position-1, s.at.Position, func(_ es.Incarnation, r *es.Record) error {
		same = same || r.Position == s.at.Position && r.Chain == s.at.Chain
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %s/%d position %d: %w", ErrGap, s.at.Topic, s.at.Partition, s.at.Position, err)
	}
	if !same {
		return fmt.Errorf("%w: %s/%d position %d", ErrIncarnation, s.at.Topic, s.at.Partition, s.at.Position)
	}
	s.known = inc
	return nil
}

func (f *Feed) passed(topic, why string) {
	if f.Passed != nil {
		f.Passed(topic, why)
	}
}
