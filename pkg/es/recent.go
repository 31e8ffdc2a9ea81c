package es

// recent is a map that knows what was used longest ago, so that it can be trimmed. It serves one goroutine.
type recent[K comparable, V any] struct {
	at   map[K]*node[K, V]
	ends node[K, V]  // next is the newest, prev the oldest
	free *node[K, V] // room of those that were dropped, by next
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
	n := r.free
	if n == nil {
		n = new(node[K, V])
	} else {
		r.free = n.next
	}
	n.key, n.value = k, v
	r.at[k] = n
	r.link(n)
}

func (r *recent[K, V]) drop(k K) {
	if n, ok := r.at[k]; ok {
		r.release(n)
	}
}

func (r *recent[K, V]) release(n *node[K, V]) {
	n.unlink()
	delete(r.at, n.key)
	*n = node[K, V]{next: r.free}
	r.free = n
}

// trim drops the oldest until at most size are left and tells gone of each.
func (r *recent[K, V]) trim(size int, gone func(K)) {
	for len(r.at) > size {
		n := r.ends.prev
		k := n.key
		r.release(n)
		if gone != nil {
			gone(k)
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
