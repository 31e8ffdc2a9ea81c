package id_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/id"
)

func TestTextComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := id.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		back, err := id.Parse(v.String())
		if err != nil || back != v {
			t.Fatalf("%v came back as %v, %v", v, back, err)
		}
		if b := v.Append([]byte("id ")); string(b) != "id "+v.String() {
			t.Fatalf("%v is appended as %q", v, b)
		}
		if upper, err := id.Parse(bytes.ToUpper([]byte(v.String()))); err != nil || upper != v {
			t.Fatalf("upper case: %v, %v", upper, err)
		}
	})
}

func TestWhatIsNoID(t *testing.T) {
	t.Parallel()
	good := id.Random().String()
	for _, s := range []string{"", good[:35], good + "0", "g" + good[1:], good[:8] + "0" + good[9:], "{" + good + "}"} {
		if v, err := id.Parse(s); err == nil {
			t.Errorf("%q was read as %v", s, v)
		}
	}
}

func TestDeriveTellsPartsApart(t *testing.T) {
	t.Parallel()
	if id.Derive([]byte("ab"), []byte("c")) == id.Derive([]byte("a"), []byte("bc")) {
		t.Error("the border between two parts does not count")
	}
	if id.Derive([]byte("a")) == id.Derive([]byte("a"), nil) {
		t.Error("an empty part does not count")
	}
	v := id.Derive([]byte("a"))
	if v != id.Derive([]byte("a")) || v[6]>>4 != 8 || v[8]>>6 != 2 {
		t.Errorf("%v is not the one version 8 id of its parts", v)
	}
	if r := id.Random(); r[6]>>4 != 4 || r == id.Random() {
		t.Errorf("%v is not a random version 4 id", r)
	}
}
