// Package lru is a map with room for a fixed number of entries that forgets what was used longest ago. It is not a
// cache with expiry: what an entry is still worth is its user's affair.
package lru

import (
	"container/list"
	"sync"
)

// Map is safe for concurrent use.
type Map[K comparable, V any] struct {
	mu    sync.Mutex
	size  int
	order *list.List // of entry, the most recently used first
	at    map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New makes a Map with room for size entries, at least one.
func New[K comparable, V any](size int) *Map[K, V] {
	return &Map[K, V]{size: max(size, 1), order: list.New(), at: make(map[K]*list.Element)}
}

// Get finds an entry and marks it as used.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(k)
}

// GetOr finds an entry or puts in the one that fresh makes. fresh runs under the lock.
func (m *Map[K, V]) GetOr(k K, fresh func() V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.get(k); ok {
		return v
	}
	v := fresh()
	m.put(k, v)
	return v
}

// Put sets an entry, forgetting the one used longest ago when there is no room.
func (m *Map[K, V]) Put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.at[k]; ok {
		e.Value.(*entry[K, V]).value = v
		m.order.MoveToFront(e)
		return
	}
	m.put(k, v)
}

// Delete forgets an entry.
func (m *Map[K, V]) Delete(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.at[k]; ok {
		m.order.Remove(e)
		delete(m.at, k)
	}
}

// Len counts the entries.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.at)
}

func (m *Map[K, V]) get(k K) (v V, ok bool) {
	e, ok := m.at[k]
	if !ok {
		return v, false
	}
	m.order.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

func (m *Map[K, V]) put(k K, v V) {
	if m.order.Len() >= m.size {
		oldest := m.order.Back()
		delete(m.at, oldest.Value.(*entry[K, V]).key)
		m.order.Remove(oldest)
	}
	m.at[k] = m.order.PushFront(&entry[K, V]{k, v})
}
