package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/obole-market/obole/services/obole/internal/buyer"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// TestWhatIsLeftOfTheStory: a market that has ended is not told as one that can be visited; one that is kept is told how it can.
func TestWhatIsLeftOfTheStory(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p, err := newPlay(&client.Session{Out: &out}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.buyers {
		a.name, a.key = "A buyer", &buyer.KeyFile{Key: "k-1"}
	}
	p.tellEnd("/tmp/thrown-away", false, false)
	if text := out.String(); !strings.Contains(text, "has ended, and nothing of it is left") || !strings.Contains(text, "--stay") || !strings.Contains(text, "--data DIR") ||
		strings.Contains(text, "Sign in") || strings.Contains(text, "keys in") || strings.Contains(text, "/tmp/thrown-away") {
		t.Errorf("one that is thrown away:\n%s", text)
	}
	out.Reset()
	p.tellEnd("/srv/demo", true, false)
	if text := out.String(); !strings.Contains(text, "has ended; /srv/demo keeps it. obole up --data /srv/demo") || !strings.Contains(text, "Participant 1503960366") || !strings.Contains(text, "keys in") {
		t.Errorf("one that is kept:\n%s", text)
	}
	out.Reset()
	p.tellEnd("/tmp/thrown-away", false, true)
	if text := out.String(); text != "\nThe market has ended, and nothing of it is left.\n" {
		t.Errorf("one that was looked at:\n%s", text)
	}
}
