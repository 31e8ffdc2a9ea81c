package lru_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/lru"
)

// The model is a slice, the most recently used key last.
func TestForgetsWhatWasUsedLongestAgo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		m := lru.New[int, int](size)
		var order []int
		value := map[int]int{}
		use := func(k int) {
			order = append(slices.DeleteFunc(order, func(o int) bool { return o == k }), k)
			if len(order) > size {
				delete(value, order[0])
				order = order[1:]
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			k, v := rapid.IntRange(0, 8).Draw(t, "key"), rapid.Int().Draw(t, "value")
			want, held := value[k]
			switch rapid.SampledFrom([]string{"get", "put", "or", "delete"}).Draw(t, "op") {
			case "get":
				got, ok := m.Get(k)
				if ok != held || got != want {
					t.Fatalf("Get(%d) = %d, %v; want %d, %v", k, got, ok, want, held)
				}
				if held {
					use(k)
				}
			case "put":
				m.Put(k, v)
				value[k] = v
				use(k)
			case "or":
				got := m.GetOr(k, func() int { return v })
				if !held {
					want, value[k] = v, v
				}
				if got != want {
					t.Fatalf("GetOr(%d) = %d; want %d", k, got, want)
				}
				use(k)
			case "delete":
				m.Delete(k)
				delete(value, k)
				order = slices.DeleteFunc(order, func(o int) bool { return o == k })
			}
			if m.Len() != len(value) {
				t.Fatalf("Len() = %d; want %d", m.Len(), len(value))
			}
		}
	})
}
