package locale_test

import (
	"testing"

	"github.com/obole-market/obole/pkg/locale"
)

func TestCountry(t *testing.T) {
	t.Parallel()
	n := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if locale.Country(string(a) + string(b)) {
				n++
			}
		}
	}
	if n != 249 {
		t.Errorf("there are %d countries, want the 249 of ISO 3166-1", n)
	}
	for _, code := range []string{"BE", "FR", "GB", "GR", "IS", "LI", "NO", "US", "ZW"} {
		if !locale.Country(code) {
			t.Errorf("%s is no country", code)
		}
	}
	for _, code := range []string{"", "B", "be", "BEL", "UK", "EU", "XX", "ZZ", "A ", " A", "D A", "ÄÖ"} {
		if locale.Country(code) {
			t.Errorf("%q is a country", code)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"en", "fr", "fr-BE", "nl-BE", "de-CH-1996", "zh-Hant-TW", "sr-Latn", "qcn-x-Canary", "EN"} {
		if !locale.Language(tag) {
			t.Errorf("%s is no language", tag)
		}
	}
	for _, tag := range []string{"", "e", "English", "xx", "fr_BE", "fr-XX1", "fr-", "-fr", "und", "und-BE", "12", "fr BE", "français"} {
		if locale.Language(tag) {
			t.Errorf("%q is a language", tag)
		}
	}
}
