package buyer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
)

var update = flag.Bool("update", false, "write testdata/page anew, with keys and packages of its own")

// known is a delivery with all that was ever sealed or signed of it: what the page opens, in web/src/console/receive.test.ts, must be what was
// sealed here. Bytes are in base64.
type known struct {
	// File is the key file as `obole keys` writes it.
	File json.RawMessage `json:"key_file"`
	// Delivery is its id.
	Delivery string `json:"delivery"`
	// Package is the ciphertext, and Digest its SHA-256.
	Package []byte `json:"package"`
	Digest  []byte `json:"digest"`
	// Receipt is the signature over both, Sealed the content key as the market seals it.
	Receipt []byte `json:"receipt"`
	Sealed  []byte `json:"sealed"`
	// Rows is how many rows come out, Lines the SHA-256 of their text.
	Rows  int    `json:"rows"`
	Lines []byte `json:"lines"`
}

// kinds of keys, and how many rows: those of the first are more than a chunk holds.
var kinds = map[string]int{parcel.X25519: 1000, parcel.Hybrid: 3}

// TestPage: the files by which the page's tests know the format are what this side opens, and what it signs.
func TestPage(t *testing.T) {
	t.Parallel()
	for algorithm, rows := range kinds {
		file := filepath.Join("testdata", "page", algorithm+".json")
		if *update {
			write(t, file, algorithm, rows)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var k known
		if err := json.Unmarshal(b, &k); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(name, k.File, 0o600); err != nil {
			t.Fatal(err)
		}
		own, err := readKey(name)
		if err != nil {
			t.Fatal(err)
		}
		delivery, err := id.Parse(k.Delivery)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(k.Package)
		if !bytes.Equal(digest[:], k.Digest) {
			t.Errorf("%s: the digest is another", algorithm)
		}
		if !bytes.Equal(parcel.SignReceipt(ed25519.PrivateKey(own.ReceiptPrivate), delivery, digest), k.Receipt) || !parcel.VerifyReceipt(own.Receipt, delivery, digest, k.Receipt) {
			t.Errorf("%s: the receipt is another", algorithm)
		}
		key, err := parcel.OpenKey(own.Algorithm, own.Private, delivery, k.Sealed)
		if err != nil || own.Algorithm != algorithm {
			t.Fatalf("%s: %s: %v", algorithm, own.Algorithm, err)
		}
		var out bytes.Buffer
		if err := parcel.Open(key, delivery, bytes.NewReader(k.Package), &out); err != nil {
			t.Fatal(err)
		}
		m, lines, err := parcel.Split(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(lines)
		if m.Delivery != k.Delivery || m.Rows != rows || k.Rows != rows || bytes.Count(lines, []byte("\n")) != rows || !bytes.Equal(sum[:], k.Lines) {
			t.Errorf("%s: %d rows of %s", algorithm, m.Rows, m.Delivery)
		}
		if algorithm == parcel.X25519 && out.Len() <= 64<<10 {
			t.Errorf("%d bytes are one chunk", out.Len())
		}
	}
}

// write makes such a delivery. Its rows are made up.
func write(t *testing.T, file, algorithm string, rows int) {
	t.Helper()
	own, err := NewKey(id.Random().String(), algorithm)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key")
	if err := own.Save(name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	delivery := id.Random()
	var lines bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&lines, `{"person":"made-up-%03d","date":"2016-04-%02d","steps":%d,"energy":null}`+"\n", i/30, 1+i%30, 100*i)
	}
	m := parcel.Manifest{
		Delivery: delivery.String(), Agreement: id.Random().String(), Sequence: 1, Product: "daily-steps", Version: "1",
		Fields: []string{"date:exact", "steps:hundred", "energy:hundred"}, Purpose: "https://w3id.org/dpv#AcademicResearch", Rows: rows, Retention: 365,
		Schema: json.RawMessage(`{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"daily-steps 1","description":"Steps of a day","type":"object",` +
			`"additionalProperties":false,"required":["person","date","steps","energy"],"properties":{` +
			`"person":{"description":"Pseudonym of the licence","type":"string","minLength":1},"date":{"description":"Local day","type":"string","format":"date"},` +
			`"steps":{"description":"Steps","type":"integer","minimum":0,"multipleOf":100},"energy":{"description":"Energy","type":["integer","null"],"minimum":0,"multipleOf":100}}}`),
	}
	plain, err := m.File(lines.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256([]byte(own.Key))
	sealed, digest, err := parcel.Seal(key[:], delivery, plain)
	if err != nil {
		t.Fatal(err)
	}
	k := known{File: text, Delivery: delivery.String(), Package: sealed, Digest: digest[:], Rows: rows}
	k.Receipt = parcel.SignReceipt(ed25519.PrivateKey(own.ReceiptPrivate), delivery, digest)
	if k.Sealed, err = parcel.SealKey(algorithm, own.Public, delivery, key[:]); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lines.Bytes())
	k.Lines = sum[:]
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
