package client

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// TestTimesOfTheContract: whatever field the contract says to be microseconds since 1970 is written as a time, and nothing else is.
func TestTimesOfTheContract(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "proto", "obole", "*", "v1", "*.proto"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the contract: %v, %v", files, err)
	}
	said := map[string]string{} // what the contract says of a field, by its message and name
	begins, field := regexp.MustCompile(`^message (\w+)`), regexp.MustCompile(`^  int64 (\w+) = `)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		message, comment := "", ""
		for line := range strings.Lines(string(b)) {
			if m := begins.FindStringSubmatch(line); m != nil {
				message = m[1]
			}
			if m := field.FindStringSubmatch(line); m != nil {
				said[message+"."+m[1]] = comment
			}
			if comment += line; !strings.HasPrefix(strings.TrimSpace(line), "//") {
				comment = ""
			}
		}
	}
	asked := map[protoreflect.Name]bool{"from": true, "to": true} // of filters, which no command prints or reads
	seen := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Messages().Len() {
			m := file.Messages().Get(i)
			for j := range m.Fields().Len() {
				f := m.Fields().Get(j)
				comment, there := said[string(m.Name())+"."+string(f.Name())]
				if !there || !strings.HasPrefix(string(m.FullName()), "obole.") || asked[f.Name()] {
					continue
				}
				seen++
				is := isMoment(f)
				if strings.Contains(comment, "since 1970-01-01T00:00Z") && !is {
					t.Errorf("%s is a time: %s", f.FullName(), comment)
				}
				if is && !strings.Contains(comment, "since 1970") && !regexp.MustCompile(`(?i)// (when|moment|last settlement|as in AgreementTaken|until when|first moment)`).MatchString(comment) {
					t.Errorf("%s is no time: %s", f.FullName(), comment)
				}
			}
		}
		return true
	})
	if seen < 50 {
		t.Errorf("%d integers of the contract were looked at", seen)
	}
}

// TestJSONIsReadAgain: what is written of a message is that message again, also where somebody writes its times as the contract has them.
func TestJSONIsReadAgain(t *testing.T) {
	t.Parallel()
	bid := &offersv1.Bid{BidId: "b", PlacedAt: 1_795_743_024_351_277, Bid: &offersv1.NewBid{
		ClosesAt: 1_795_743_024_000_000, Terms: &marketv1.Terms{UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"}, Purpose: "<x&y>"},
	}, Held: &moneyv1.Money{Minor: -3025, Currency: "EUR"}}
	text, err := JSON(bid)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"placed_at":"2026-11-27T01:30:24.351277Z"`, `"closes_at":"2026-11-27T01:30:24Z"`, `"held":{"currency":"EUR","minor":"-3025"}`, `"micros":"50000"`, `"<x&y>"`,
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	for _, form := range []string{
		string(text), strings.Replace(string(text), `"2026-11-27T01:30:24Z"`, `"1795743024000000"`, 1), strings.Replace(string(text), `"2026-11-27T01:30:24Z"`, `1795743024000000`, 1),
		strings.Replace(string(text), `"2026-11-27T01:30:24Z"`, `"2026-11-27T02:30:24+01:00"`, 1), strings.Replace(string(text), "closes_at", "closesAt", 1),
	} {
		got := new(offersv1.Bid)
		if err := Message([]byte(form), got); err != nil || !proto.Equal(got, bid) {
			t.Errorf("%s is read as %v, %v", form, got, err)
		}
	}
	if err := Message([]byte("{\n  \"bid\": {\"closes_at\": \"tomorrow\"}}"), new(offersv1.Bid)); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a time that is none: %v", err)
	}
}

// TestObjectHasTheContractsForms: money, prices, positions and times that stand in no message of the contract are written as if they did; people
// read them as everywhere.
func TestObjectHasTheContractsForms(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Session{Out: &out}
	euro, at := &moneyv1.Money{Minor: 5, Currency: "EUR"}, Moment(1_795_743_024_000_000)
	err := s.Object(map[string]any{"at": at, "none": nil, "nothing": &moneyv1.Money{Currency: "EUR"}, "position": int64(7), "rows": 3, "sums": []map[string]any{{"of": euro}}, "price": &moneyv1.UnitPrice{Micros: 1, Currency: "EUR"}})
	const want = `{"at":"2026-11-27T01:30:24Z","none":null,"nothing":{"currency":"EUR","minor":"0"},"position":"7","price":{"currency":"EUR","micros":"1"},"rows":3,"sums":[{"of":{"currency":"EUR","minor":"5"}}]}`
	if got := strings.TrimSpace(out.String()); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	out.Reset()
	err = s.Table([]string{"a", "b", "c", "d"}, [][]any{{euro, at, nil, "x\x1b[2J"}})
	if got := out.String(); err != nil || !strings.Contains(got, "0.05 EUR  2026-11-27 01:30:24Z  -  x [2J") {
		t.Errorf("%q, %v", got, err)
	}
}
