package es

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// ErrState: a stored state is not what its events fold to.
var ErrState = errors.New("es: a stored state is not what its events say")

// Fsck checks one partition of a log from its first event to its tail: positions without a hole, the chain, versions without
// a hole. It says how many events it read. visit, if any, is handed each event; the record is only valid during the call.
func Fsck(ctx context.Context, log Reader, p Partition, visit func(*Record) error) (events int, err error) {
	lives, err := log.Lives(ctx, p)
	if err != nil {
		return 0, err
	}
	tail, err := log.Tail(ctx, p)
	if err != nil {
		return 0, err
	}
	const scan = 5000
	check, versions := Checker{Lives: lives}, map[Stream]Version{}
	for check.Position < tail.Position {
		n, err := log.Scan(ctx, p, check.Position, scan, func(r *Record) error {
			if err := check.Check(r); err != nil {
				return err
			}
			if r.Version != versions[r.Stream]+1 {
				return fmt.Errorf("%w: partition %d, position %d: version %d of a stream follows %d", ErrGap, p, r.Position, r.Version, versions[r.Stream])
			}
			versions[r.Stream] = r.Version
			events++
			if visit == nil {
				return nil
			}
			return visit(r)
		})
		if err != nil {
			return events, err
		}
		if n == 0 {
			return events, fmt.Errorf("%w: partition %d ends at %d, its tail is at %d", ErrGap, p, check.Position, tail.Position)
		}
	}
	return events, nil
}

// Refold folds every event of a root's kind in a partition anew, and compares each state row with what the events came to at
// the row's position. A stream that an event of another has changed must have a row, and one that includes that event: whoever
// loads it has nothing else to learn of it by. mine says which streams are of that kind; keys gives what opens a stream's events
// and row. Rows of another fold version are left alone: nobody trusts them, nor anything of a root whose own row is none or of
// another.
func Refold[S, C, E any](
	ctx context.Context, log Log, p Partition, rules Rules[S, C, E], mine func(*Record) bool, keys func(Stream) (any, error),
) (states int, err error) {
	tail, err := log.Tail(ctx, p) // the rows are of no earlier moment
	if err != nil {
		return 0, err
	}
	due, upTo, changed := map[Position][]StateRow{}, map[Stream]Position{}, map[Stream]Position{}
	others := map[Stream]bool{} // whose rows are of another fold
	err = log.States(ctx, p, func(row *StateRow) error {
		if row.Fold == rules.Fold {
			upTo[row.Stream] = row.Position
			c := *row
			c.Data = append([]byte(nil), row.Data...)
			due[row.Position] = append(due[row.Position], c)
		} else {
			others[row.Stream] = true
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	folded, touched := map[Stream]S{}, map[string]bool{}
	_, err = Fsck(ctx, log, p, func(r *Record) error {
		if mine(r) {
			touched[r.Stream.Root()] = true
			k, err := keys(r.Stream)
			if err != nil {
				return err
			}
			e, err := rules.Decode(r, k)
			if err != nil {
				return fmt.Errorf("partition %d, position %d: %w", p, r.Position, err)
			}
			entry := Entry[E]{Stream: r.Stream, Event: e, Version: r.Version, Position: r.Position, At: r.At}
			on := []Stream{r.Stream}
			if rules.Touch != nil {
				on = append(on, rules.Touch(entry)...)
			}
			for i, s := range on {
				if i == 0 || s != r.Stream {
					folded[s] = rules.Evolve(folded[s], s, entry)
				}
				if s != r.Stream && r.Position <= tail.Position {
					changed[s] = r.Position
				}
			}
		}
		for _, row := range due[r.Position] {
			if !touched[row.Stream.Root()] {
				continue // another kind of root
			}
			k, err := keys(row.Stream)
			if err != nil {
				return err
			}
			stored, err := rules.DecodeState(row.Data, row.Stream, k)
			if err != nil {
				return fmt.Errorf("%w: partition %d: %s: %w", ErrState, p, row.Stream, err)
			}
			if !reflect.DeepEqual(stored, folded[row.Stream]) {
				return fmt.Errorf("%w: partition %d: %s as of position %d", ErrState, p, row.Stream, row.Position)
			}
			states++
		}
		return nil
	})
	if err != nil {
		return states, err
	}
	for s, at := range changed {
		_, trusted := upTo[Stream(s.Root())]
		if trusted && !others[s] && upTo[s] < at {
			return states, fmt.Errorf("%w: partition %d: %s was changed at position %d, and its row is as of position %d", ErrState, p, s, at, upTo[s])
		}
	}
	return states, nil
}
