// Package vaultmem keeps a vault's rows in memory, for tests and simulations. Nothing survives the process.
package vaultmem

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
)

type place struct {
	subject   id.ID
	retention vault.Retention
}

// Store is a vault.Store. Its zero value is empty and ready.
type Store struct {
	mu   sync.Mutex
	rows map[place]vault.Row
}

var _ vault.Store = (*Store)(nil)

// Load implements vault.Store.
func (s *Store) Load(_ context.Context, subject id.ID) ([]vault.Row, error) {
	return s.where(0, func(r *vault.Row) bool { return r.Subject == subject }), nil
}

// Mint implements vault.Store.
func (s *Store) Mint(ctx context.Context, rows []vault.Row) ([]vault.Row, error) {
	s.mu.Lock()
	for _, r := range rows {
		if _, ok := s.rows[place{r.Subject, r.Retention}]; !ok {
			s.put(r)
		}
	}
	s.mu.Unlock()
	return s.Load(ctx, rows[0].Subject)
}

// Find implements vault.Store.
func (s *Store) Find(_ context.Context, keyIDs []id.ID) ([]vault.Row, error) {
	return s.where(0, func(r *vault.Row) bool { return slices.Contains(keyIDs, r.KeyID) }), nil
}

// Forget implements vault.Store.
func (s *Store) Forget(_ context.Context, rows []vault.Row) ([]vault.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows = slices.Clone(rows)
	for i, r := range rows {
		if old, ok := s.rows[place{r.Subject, r.Retention}]; ok {
			rows[i].KeyID = old.KeyID
		}
		s.put(rows[i])
	}
	return rows, nil
}

// Stale implements vault.Store.
func (s *Store) Stale(_ context.Context, kek string, limit int) ([]vault.Row, error) {
	return s.where(limit, func(r *vault.Row) bool { return r.State == vault.Live && r.KEK != kek }), nil
}

// Rewrap implements vault.Store.
func (s *Store) Rewrap(_ context.Context, rows []vault.Row) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range rows {
		if old, ok := s.rows[place{r.Subject, r.Retention}]; ok && old.KeyID == r.KeyID && old.State == vault.Live {
			old.Wrapped, old.KEK = r.Wrapped, r.KEK
			s.put(old)
			n++
		}
	}
	return n, nil
}

func (s *Store) put(r vault.Row) {
	if s.rows == nil {
		s.rows = map[place]vault.Row{}
	}
	r.Wrapped = bytes.Clone(r.Wrapped)
	s.rows[place{r.Subject, r.Retention}] = r
}

// where returns at most limit rows, 0 meaning all.
func (s *Store) where(limit int, want func(*vault.Row) bool) []vault.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []vault.Row
	for _, r := range s.rows {
		if want(&r) && (limit == 0 || len(found) < limit) {
			r.Wrapped = bytes.Clone(r.Wrapped)
			found = append(found, r)
		}
	}
	return found
}
