package notice

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/obole-market/obole/pkg/locale"
)

// Operator is who runs the market and answers for the data.
type Operator struct {
	Name    string `json:"name"`    // legal name
	Country string `json:"country"` // ISO 3166-1 alpha-2
	Address string `json:"address"`
	DPO     string `json:"dpo"` // where the data protection officer is reached
	// Synthetic says that there is no such operator.
	Synthetic bool `json:"synthetic,omitempty"`
	// Changes are the operator's own, newest first: what it has changed of catalogue, packs or this file.
	Changes []Change `json:"changes,omitempty"`
}

// Authority is the data protection authority of a country, as its policy pack names it.
type Authority struct {
	Country string `json:"country"` // ISO 3166-1 alpha-2
	Name    string `json:"name"`    // in its own language
	URL     string `json:"url"`
}

// Change says what is different since a version, in every language.
type Change struct {
	Version string              `json:"version"`
	Since   string              `json:"since"`            // YYYY-MM-DD
	Digest  string              `json:"digest,omitempty"` // of the whole policy in all languages; of the built-in ones only
	What    map[string][]string `json:"what"`             // by language
}

//go:embed operator.json
var operatorFile []byte

// openOperator reads a file, without one what is built in for a market on one machine.
func openOperator(file string) (o Operator, err error) {
	b := operatorFile
	if file != "" {
		if b, err = os.ReadFile(file); err != nil {
			return o, fmt.Errorf("notice: %w", err)
		}
	}
	if err := decode(b, &o); err != nil {
		return o, fmt.Errorf("notice: operator: %w", err)
	}
	if o.Name == "" || o.Address == "" || o.DPO == "" || !locale.Country(o.Country) {
		return o, errors.New("notice: operator: name, address, dpo and country (ISO 3166-1 alpha-2) are required")
	}
	for _, c := range o.Changes {
		if _, err := time.Parse(time.DateOnly, c.Since); err != nil || c.Version == "" {
			return o, errors.New("notice: operator: a change needs a version, and since as YYYY-MM-DD")
		}
		for _, lang := range Languages {
			if len(c.What[lang]) == 0 {
				return o, fmt.Errorf("notice: operator: change %s does not say what in %q", c.Version, lang)
			}
		}
	}
	return o, nil
}

func decode(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(to)
}
