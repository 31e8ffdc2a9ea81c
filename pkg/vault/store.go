package vault

import (
	"context"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"

	"github.com/obole-market/obole/pkg/id"
)

// Retention is the contract's retention class.
type Retention = eventv1.Retention

// Classes are the retention classes that have keys.
var classes = [...]Retention{
	eventv1.Retention_RETENTION_CONTENT,
	eventv1.Retention_RETENTION_CONSENT_PROOF,
	eventv1.Retention_RETENTION_FISCAL,
	eventv1.Retention_RETENTION_IDENTITY,
}

// State says whether a key can be used.
type State int16

// States of a key. There is no way back from Erased.
const (
	Live   State = 1
	Erased State = 2
)

// Row is one key as it is stored.
type Row struct {
	Subject   id.ID
	Retention Retention
	KeyID     id.ID  // random, unique
	Wrapped   []byte // the key under KEK: nonce, ciphertext, tag; nil when erased
	KEK       string // id of the key-encryption key; empty when erased
	State     State
}

// Store keeps rows: at most one per subject and class. It knows no keys. Its errors are faults, ErrUnavailable where the
// database cannot be reached. TestStores holds every implementation to it.
type Store interface {
	// Load returns the rows of a subject, none if there are none.
	Load(ctx context.Context, subject id.ID) ([]Row, error)
	// Mint stores rows of one subject where the class has none yet, and returns all of the subject's rows as they then
	// stand: of several that mint at once all get the same.
	Mint(ctx context.Context, rows []Row) ([]Row, error)
	// Find returns the rows of these keys; what does not exist is left out.
	Find(ctx context.Context, keyIDs []id.ID) ([]Row, error)
	// Forget erases the classes of the rows, which are one subject's: a row that exists keeps its key id and loses its
	// key, one that does not is stored as given. It returns the rows as they then stand.
	Forget(ctx context.Context, rows []Row) ([]Row, error)
	// Stale returns at most limit live rows that another key-encryption key than this one wraps.
	Stale(ctx context.Context, kek string, limit int) ([]Row, error)
	// Rewrap replaces Wrapped and KEK of the rows that are still live, found by key id, and says how many.
	Rewrap(ctx context.Context, rows []Row) (int, error)
}
