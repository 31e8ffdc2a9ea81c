package policy_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/obole-market/obole/pkg/policy"
)

var now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func TestBuiltInPacks(t *testing.T) {
	t.Parallel()
	s, err := policy.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, country := range []string{"BE", "DE", "ES", "FR", "GB", "IE", "IT", "NL", "PT"} {
		p, err := s.At(country, now)
		if err != nil || p.Country != country {
			t.Errorf("%s: %v, %v", country, p.Country, err)
		}
		if p.PaidHealth.Value == (country == "FR") {
			t.Errorf("%s: paid transfer of health data is %v", country, p.PaidHealth.Value)
		}
	}
	if _, err := s.At("XX", now); !errors.Is(err, policy.ErrCountry) {
		t.Errorf("no such country: %v", err)
	}
	if _, err := s.At("BE", now.AddDate(-10, 0, 0)); !errors.Is(err, policy.ErrCountry) {
		t.Errorf("before the first version: %v", err)
	}
}

func TestAPackWithAFaultIsRefused(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile("packs/BE.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"an unknown row":          {`"vat_ppm"`, `"vat"`},
		"a row without a source":  {`"source": "house"`, `"source": ""`},
		"an adult floor below 18": {`"value": 18`, `"value": 16`},
		"a rate above 1":          {`210000`, `2100000`},
		"an authority unnamed":    {`"value": "Autorité de protection des données / Gegevensbeschermingsautoriteit"`, `"value": ""`},
		"an unsafe page":          {`https://www.data`, `http://www.data`},
		"no day":                  {`"from": "2026-01-01"`, `"from": "soon"`},
		"no country":              {`"country": "BE"`, `"country": ""`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		_, err := policy.Load(fstest.MapFS{"BE.json": {Data: []byte(bad)}})
		if err == nil || !strings.Contains(err.Error(), "BE.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheVersionOfTheDayApplies(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile("packs/BE.json")
	if err != nil {
		t.Fatal(err)
	}
	next := strings.NewReplacer("2026-01-01", "2027-01-01", "210000", "220000").Replace(string(old))
	s, err := policy.Load(fstest.MapFS{"a.json": {Data: old}, "b.json": {Data: []byte(next)}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := s.At("BE", time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC))
	after, _ := s.At("BE", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	if before.VATPPM.Value != 210_000 || after.VATPPM.Value != 220_000 {
		t.Errorf("%d before, %d after", before.VATPPM.Value, after.VATPPM.Value)
	}
}
