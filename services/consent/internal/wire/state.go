package wire

import (
	"encoding/json"
	"errors"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

// A state row is a byte for the kind of state, and for a person then a box of the person's key: the row holds what the
// person's events hold, so it is no less sealed. Forgetting who the person is makes the row unreadable with the events.
const (
	rowPerson   = 'p'
	rowAnswered = 'a'
)

var errRow = errors.New("wire: malformed state row")

// encodeState gives the row of a state; what does not exist is an empty row.
func encodeState(s subscriber.State, on es.Stream, keys any) ([]byte, error) {
	switch s := s.(type) {
	case nil:
		return []byte{}, nil
	case subscriber.Answered:
		row := []byte{rowAnswered, 0, 0}
		if s.Given {
			row[1] = 1
		}
		if s.Expired {
			row[2] = 1
		}
		return row, nil
	case subscriber.Person:
		ring, ok := keys.(*vault.Ring)
		if !ok {
			return nil, es.ErrKeys
		}
		plain, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		box, err := ring.SealBytes(eventv1.Retention_RETENTION_IDENTITY, []byte("state "+on), plain)
		if err != nil {
			return nil, err
		}
		return append([]byte{rowPerson}, box...), nil
	}
	return nil, errRow
}

// decodeState is encodeState's inverse.
func decodeState(b []byte, on es.Stream, keys any) (subscriber.State, error) {
	switch {
	case len(b) == 0:
		return nil, nil
	case b[0] == rowAnswered && len(b) == 3:
		return subscriber.Answered{Given: b[1] == 1, Expired: b[2] == 1}, nil
	case b[0] != rowPerson:
		return nil, errRow
	}
	ring, ok := keys.(*vault.Ring)
	if !ok {
		return nil, es.ErrKeys
	}
	plain, err := ring.OpenBytes(eventv1.Retention_RETENTION_IDENTITY, []byte("state "+on), b[1:])
	if errors.Is(err, vault.ErrKeyUnknown) {
		return nil, es.ErrKeys
	}
	if err != nil {
		return nil, err
	}
	var p subscriber.Person
	if err := json.Unmarshal(plain, &p); err != nil {
		return nil, errRow
	}
	return p, nil
}
