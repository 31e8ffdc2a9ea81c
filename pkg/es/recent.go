package es

// recent is a map that knows what was used longest ago, so that it can be trimmed. It serves one goroutine.
type recent[K comparable, V any] struct {
	at   map[K]*node[K, V]
	ends node[K, V] // next is the newest, prev the oldest
}

type node[K comparable, V any] struct {
	key        K
	value      V
	prev, next *node[K, V]
}

func (r *recent[K, V]) init() {
	r.at = make(map[K]*node[K, V])
	r.ends.prev, r.ends.next = &r.ends, &r.ends
}

// peek finds a value without using it.
func (r *recent[K, V]) peek(k K) (v V, ok bool) {
	n, ok := r.at[k]
	if !ok {
		return v, false
	}
	return n.value, true
}

// get finds a value and makes it the newest.
func (r *recent[K, V]) get(k K) (v V, ok bool) {
	n, ok := r.at[k]
	if !ok {
		return v, false
	}
	n.unlink()
	r.link(n)
	return n.value, true
}

func (r *recent[K, V]) put(k K, v V) {
	if n, ok := r.at[k]; ok {
		n.value = v
		n.unlink()
		r.link(n)
		return
	}
	n := &node[K, V]{key: k, value: v}
	r.at[k] = n
	r.link(n)
}

func (r *recent[K, V]) drop(k K) {
	if n, ok := r.at[k]; ok {
		n.unlink()
		delete(r.at, k)
	}
}

// trim drops the oldest until at most size are left and tells gone of each.
func (r *recent[K, V]) trim(size int, gone func(K)) {
	for len(r.at) > size {
		n := r.ends.prev
		n.unlink()
		delete(r.at, n.key)
		if gone != nil {
			gone(n.key)
		}
	}
}

func (r *recent[K, V]) link(n *node[K, V]) {
	n.prev, n.next = &r.ends, r.ends.next
	n.prev.next, n.next.prev = n, n
}

func (n *node[K, V]) unlink() {
	n.prev.next, n.next.prev = n.next, n.prev
}
