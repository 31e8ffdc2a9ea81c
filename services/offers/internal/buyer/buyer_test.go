package buyer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/offers/internal/buyer"
)

var (
	who  = buyer.ID{ID: id.Derive([]byte("buyer"))}
	noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

func register() buyer.Register {
	return buyer.Register{ID: who, Claim: who.ID, Entity: []byte("entity"), Keys: []buyer.Key{{ID: "k1", Raw: []byte{1}}}}
}

func fold(t *testing.T, commands ...buyer.Command) buyer.State {
	t.Helper()
	var s buyer.State
	for _, c := range commands {
		events, err := buyer.Decide(s, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			s = buyer.Evolve(s, e, s.Version+1, noon)
		}
	}
	return s
}

func TestWhoMayBid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before []buyer.Command
		want   error
	}{
		"nobody":     {nil, buyer.ErrUnknown},
		"registered": {[]buyer.Command{register()}, buyer.ErrNotVetted},
		"vetted":     {[]buyer.Command{register(), buyer.Vet{ID: who}}, nil},
		"suspended":  {[]buyer.Command{register(), buyer.Vet{ID: who}, buyer.Suspend{ID: who, Reason: "FRAUD"}}, buyer.ErrSuspended},
		"reinstated": {[]buyer.Command{register(), buyer.Vet{ID: who}, buyer.Suspend{ID: who, Reason: "FRAUD"}, buyer.Reinstate{ID: who}}, nil},
	} {
		got := fold(t, tc.before...).MayBid()
		if tc.want == nil && got != nil || tc.want != nil && !errors.Is(got, tc.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := fold(t, register())
	other, twice := register(), register()
	other.Entity = []byte("another")
	twice.Keys = append(twice.Keys, twice.Keys[0])
	for name, tc := range map[string]struct {
		s    buyer.State
		c    buyer.Command
		want error
	}{
		"another entity":     {s, other, buyer.ErrExists},
		"a key twice":        {buyer.State{}, twice, buyer.ErrKeyConflict},
		"vet nobody":         {buyer.State{}, buyer.Vet{ID: who}, buyer.ErrUnknown},
		"rotate to a known":  {s, buyer.Rotate{ID: who, Key: buyer.Key{ID: "k1"}, Replaces: "k1"}, buyer.ErrKeyConflict},
		"rotate an unknown":  {s, buyer.Rotate{ID: who, Key: buyer.Key{ID: "k2"}, Replaces: "k9"}, buyer.ErrKeyConflict},
		"the same again":     {s, register(), nil},
		"reinstate for free": {s, buyer.Reinstate{ID: who}, nil},
	} {
		events, err := buyer.Decide(tc.s, tc.c)
		if !errors.Is(err, tc.want) || tc.want == nil && (err != nil || len(events) != 0) {
			t.Errorf("%s: %v, %v", name, events, err)
		}
	}
	rotated := fold(t, register(), buyer.Rotate{ID: who, Key: buyer.Key{ID: "k2"}, Replaces: "k1"})
	if rotated.Keys[0].ID != "k2" || len(rotated.Keys) != 2 || !rotated.Keys[0].Until.IsZero() || !rotated.Keys[1].Until.Equal(noon) {
		t.Errorf("the newest key comes first, and the one that it replaces has ended: %v", rotated.Keys)
	}
	if events, err := buyer.Decide(rotated, buyer.Rotate{ID: who, Key: buyer.Key{ID: "k3"}, Replaces: "k1"}); !errors.Is(err, buyer.ErrKeyConflict) {
		t.Errorf("a key that was replaced is replaced again: %v, %v", events, err)
	}
}

// TestNobodyChoosesItsOwnGroup: what counts is what the operator says, whatever the buyer claims.
func TestNobodyChoosesItsOwnGroup(t *testing.T) {
	t.Parallel()
	parent, other := id.Derive([]byte("parent")), id.Derive([]byte("other"))
	claims := register()
	claims.Claim = parent
	vet := func(group id.ID) buyer.Vet { return buyer.Vet{ID: who, Group: group} }
	for name, tc := range map[string]struct {
		before []buyer.Command
		want   id.ID
	}{
		"claimed, not vetted":    {[]buyer.Command{claims}, id.ID{}},
		"claims none":            {[]buyer.Command{register(), vet(id.ID{})}, who.ID},
		"confirmed":              {[]buyer.Command{claims, vet(parent)}, parent},
		"the claim is not true":  {[]buyer.Command{claims, vet(who.ID)}, who.ID},
		"what it did not claim":  {[]buyer.Command{register(), vet(parent)}, parent},
		"corrected":              {[]buyer.Command{claims, vet(parent), vet(other)}, other},
		"vetted again":           {[]buyer.Command{claims, vet(parent), vet(id.ID{})}, parent},
		"corrected when stopped": {[]buyer.Command{claims, vet(parent), buyer.Suspend{ID: who}, vet(who.ID)}, who.ID},
	} {
		if got := fold(t, tc.before...).Group; got != tc.want {
			t.Errorf("%s: %s counts, want %s", name, got, tc.want)
		}
	}
	if events, err := buyer.Decide(fold(t, claims), vet(id.ID{})); !errors.Is(err, buyer.ErrUnconfirmed) {
		t.Errorf("a claim that nobody confirmed: %v, %v", events, err)
	}
	if events, err := buyer.Decide(fold(t, claims, vet(parent)), vet(parent)); err != nil || len(events) != 0 {
		t.Errorf("confirmed twice: %v, %v", events, err)
	}
	old := buyer.Evolve(fold(t, claims), buyer.Vetted{ID: who}, 2, noon)
	if old.Group != who.ID {
		t.Errorf("vetted before the operator named groups: %s counts", old.Group)
	}
}
