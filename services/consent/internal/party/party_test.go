package party_test

import (
	"fmt"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/consent/internal/party"
)

var buyer = party.ID{ID: id.Derive([]byte("buyer"))}

// obey decides a command and folds what it causes.
func obey(s party.State, c party.Command) (party.State, int) {
	c.Buyer, c.Reason = buyer, "FRAUD"
	events := party.Decide(s, c)
	for _, e := range events {
		s = party.Evolve(s, e)
	}
	return s, len(events)
}

// TestBarAndUnbar: words without a version, as processes and logs of before have them, are obeyed as they come.
func TestBarAndUnbar(t *testing.T) {
	t.Parallel()
	for _, atGate := range []bool{false, true} {
		var s party.State
		for i, step := range []struct {
			bar    bool
			events int
			barred bool
		}{{false, 0, false}, {true, 1, true}, {true, 0, true}, {false, 1, false}, {true, 1, true}} {
			var events int
			if s, events = obey(s, party.Command{Bar: step.bar, AtGate: atGate}); events != step.events || s.Barred != step.barred {
				t.Fatalf("step %d, at the gate %v: %d events, barred %v", i, atGate, events, s.Barred)
			}
		}
	}
}

// words are a buyer's life at the market: suspended, reinstated, suspended, reinstated. Between them its stream has other events.
var words = []party.Command{{Bar: true, Word: 3}, {Bar: false, Word: 4}, {Bar: true, Word: 7}, {Bar: false, Word: 9}}

// TestAnOlderWordUndoesNoNewerOne walks every order in which some of these words may arrive, each of them once or twice: at
// each step the newest that has come is what holds.
func TestAnOlderWordUndoesNoNewerOne(t *testing.T) {
	t.Parallel()
	walked := 0
	var walk func(s party.State, left [4]int, newest *party.Command, path string)
	walk = func(s party.State, left [4]int, newest *party.Command, path string) {
		if newest != nil && (s.Barred != newest.Bar || s.Word != newest.Word) {
			t.Errorf("after%s: barred %v by word %d, want %v by %d", path, s.Barred, s.Word, newest.Bar, newest.Word)
			return
		}
		walked++
		for i, n := range left {
			if n == 0 {
				continue
			}
			left[i]--
			next, at := newest, path+fmt.Sprint(" ", words[i].Word)
			if next == nil || words[i].Word > next.Word {
				next = &words[i]
			}
			told, _ := obey(s, words[i])
			walk(told, left, next, at)
			left[i]++
		}
	}
	walk(party.State{}, [4]int{2, 2, 2, 2}, nil, "")
	if walked < 2520 { // 8! / 2!^4 orders of all eight alone
		t.Errorf("only %d orders were walked", walked)
	}
}

// TestTheGatesOwnWord: what the operator says at the gate and what the market says do not undo one another.
func TestTheGatesOwnWord(t *testing.T) {
	t.Parallel()
	s, _ := obey(party.State{}, party.Command{Bar: true, AtGate: true})
	s, _ = obey(s, party.Command{Bar: false, Word: 4}) // late: spoken before the gate was told
	if !s.Barred {
		t.Error("a word of the market undoes the operator's at the gate")
	}
	s, _ = obey(s, party.Command{Bar: true, Word: 5})
	s, _ = obey(s, party.Command{Bar: false, AtGate: true})
	if !s.Barred {
		t.Error("the operator's word at the gate undoes a suspension")
	}
	if s, _ = obey(s, party.Command{Bar: false, Word: 6}); s.Barred {
		t.Error("both have ended it, and the buyer is barred")
	}
	// A log of before words had versions goes on with words that have them.
	old := party.Evolve(party.State{}, party.Barred{Buyer: buyer, Reason: "FRAUD"})
	if s, n := obey(old, party.Command{Bar: false, Word: 2}); s.Barred || n != 1 {
		t.Error("an older suspension cannot be ended")
	}
}
