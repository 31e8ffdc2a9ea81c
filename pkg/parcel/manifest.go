package parcel

import (
	"bytes"
	"encoding/json"
)

// Manifest is the first line of a package's file: what the rows are and what may be done with them.
type Manifest struct {
	Format     string   `json:"format"` // "obole package 1"
	Delivery   string   `json:"delivery"`
	Agreement  string   `json:"agreement"`
	Sequence   int      `json:"sequence"` // number within the agreement, from 1
	Product    string   `json:"product"`
	Version    string   `json:"version"`
	Fields     []string `json:"fields"` // "id:rung"
	Purpose    string   `json:"purpose"`
	Slots      []string `json:"slots"` // local days YYYY-MM-DD
	Rows       int      `json:"rows"`
	Expected   int      `json:"expected_slots"`  // slots that the days at hand could have held
	Valid      int      `json:"valid_slots"`     // of these, valid by the product's rule
	Delivered  int      `json:"delivered_slots"` // of these, in this package, and charged
	Retention  int      `json:"retention_days"`
	Recipients []string `json:"recipients,omitempty"` // onward ones
	// Schema is the JSON Schema of a row.
	Schema json.RawMessage `json:"schema"`
}

// Format of a manifest.
const Format = "obole package 1"

// File joins manifest and rows, which end with a line break each.
func (m Manifest) File(rows []byte) ([]byte, error) {
	m.Format = Format
	head, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), rows...), nil
}

// Split is File's inverse.
func Split(file []byte) (m Manifest, rows []byte, err error) {
	head, rows, ok := bytes.Cut(file, []byte{'\n'})
	if !ok || json.Unmarshal(head, &m) != nil || m.Format != Format {
		return m, nil, ErrFormat
	}
	return m, rows, nil
}
