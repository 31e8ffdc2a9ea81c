// Package policy is law as data: what a country's rules say, each row with the article that says so, or "house" where it is
// a rule of our own. Decisions name the pack and version that they followed.
package policy

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Row is one rule: its value and where it stands.
type Row[T any] struct {
	Value  T      `json:"value"`
	Source string `json:"source"` // an article of law, or "house"
}

// Pack is one version of a country's rules.
type Pack struct {
	Country string `json:"country"` // ISO 3166-1 alpha-2
	Version string `json:"version"` // YYYY-MM-DD
	From    string `json:"from"`    // first day on which it applies, YYYY-MM-DD

	AdultAge       Row[int]   `json:"adult_age"`       // years: the floor of paid offers
	ConsentAge     Row[int]   `json:"consent_age"`     // years (GDPR 8)
	PaidHealth     Row[bool]  `json:"paid_health"`     // whether identifiable health data may be paid for
	VATPPM         Row[int64] `json:"vat_ppm"`         // standard rate, millionths
	WithholdingPPM Row[int64] `json:"withholding_ppm"` // withheld from earnings, millionths
	DisputeDays    Row[int]   `json:"dispute_days"`    // days for which earnings are pending
	RepromptDays   Row[int]   `json:"reprompt_days"`   // days before a declined question may be asked again
	RetentionDays  Row[int]   `json:"retention_days"`  // days for which proof of consent is kept
	FiscalDays     Row[int]   `json:"fiscal_days"`     // days for which what tax law wants is kept
	BreachHours    Row[int]   `json:"breach_hours"`    // hours to notify a breach

	Authority    Row[string] `json:"authority"`     // to which a person may complain, by name
	AuthorityURI Row[string] `json:"authority_uri"` // its page, https
}

// Set is the packs that a service knows.
type Set struct {
	packs map[string][]Pack // newest first
}

// ErrCountry: no pack applies to a country.
var ErrCountry = errors.New("policy: no pack applies to this country at this time")

//go:embed packs/*.json
var builtIn embed.FS

// Open reads the packs of a folder; without one, those built in.
func Open(folder string) (*Set, error) {
	if folder == "" {
		return Load(builtIn)
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return Load(os.DirFS(folder))
}

// BuiltIn are the files of the packs built in, for who begins from them.
func BuiltIn() fs.FS { return builtIn }

// Load reads every *.json of a folder. A file with an unknown or missing row is refused, with its name and the row's.
func Load(folder fs.FS) (*Set, error) {
	s := &Set{packs: map[string][]Pack{}}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		b, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		p, err := read(b)
		if err != nil {
			return fmt.Errorf("policy: %s: %w", name, err)
		}
		s.packs[p.Country] = append(s.packs[p.Country], p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, packs := range s.packs {
		slices.SortFunc(packs, func(a, b Pack) int { return bytes.Compare([]byte(b.From), []byte(a.From)) })
	}
	return s, nil
}

func read(b []byte) (p Pack, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, err
	}
	if len(p.Country) != 2 || p.Version == "" {
		return p, errors.New("country and version are required")
	}
	if _, err := time.Parse(time.DateOnly, p.From); err != nil {
		return p, errors.New("from is not a day")
	}
	for row, source := range map[string]string{
		"adult_age": p.AdultAge.Source, "consent_age": p.ConsentAge.Source, "paid_health": p.PaidHealth.Source, "vat_ppm": p.VATPPM.Source,
		"withholding_ppm": p.WithholdingPPM.Source, "dispute_days": p.DisputeDays.Source, "reprompt_days": p.RepromptDays.Source,
		"retention_days": p.RetentionDays.Source, "breach_hours": p.BreachHours.Source,
		"fiscal_days": p.FiscalDays.Source, "authority": p.Authority.Source, "authority_uri": p.AuthorityURI.Source,
	} {
		if source == "" {
			return p, fmt.Errorf("%s names no source", row)
		}
	}
	if p.FiscalDays.Value < 0 || p.RetentionDays.Value < 0 || p.Authority.Value == "" || !strings.HasPrefix(p.AuthorityURI.Value, "https://") {
		return p, errors.New("a value is out of range: days from 0, an authority has a name and a page with https")
	}
	if p.AdultAge.Value < 18 || p.VATPPM.Value < 0 || p.VATPPM.Value > 1_000_000 || p.WithholdingPPM.Value < 0 || p.WithholdingPPM.Value > 1_000_000 || p.DisputeDays.Value < 0 {
		return p, errors.New("a value is out of range: the adult floor is at least 18, rates are 0 to 1,000,000, days from 0")
	}
	return p, nil
}

// Countries are those that any pack is for, by code.
func (s *Set) Countries() []string { return slices.Sorted(maps.Keys(s.packs)) }

// At is the pack that applies to a country at a time.
func (s *Set) At(country string, at time.Time) (Pack, error) {
	day := at.UTC().Format(time.DateOnly)
	for _, p := range s.packs[country] {
		if p.From <= day {
			return p, nil
		}
	}
	return Pack{}, ErrCountry
}
