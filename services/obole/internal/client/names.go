package client

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/obole-market/obole/pkg/fault"
)

// Params are the flags and arguments of the command that runs, by their names without dashes.
type Params map[string]Param

// Param is a flag or an argument.
type Param struct {
	Shown string // as it is typed: --price, <amount>
	Given bool
	// Contract is set where the argument is a file that holds the whole of a message: the path of the request's field that it fills.
	Contract string
	File     string
}

// typed says which parameter a field of the contract comes from, and where its form is a pattern, what one looks like.
type typed struct {
	param string
	as    string
}

// names is the one table from the contract's field paths to the command line. A path that is not in it is looked for by what stands
// before its last dot; one whose parameter the command does not have stays as it is.
var names = map[string]typed{
	"after": {"after", ""}, "agreement_id": {"agreement", ""}, "all": {"all", ""}, "amount": {"amount", ""}, "bid_id": {"bid", ""},
	"birth_date": {"born", "1990-02-03"}, "birth_year": {"born-year", ""}, "body": {"value", ""}, "buyer_id": {"buyer", ""}, "card_sha256": {"card", ""},
	"country": {"country", "BE"}, "days": {"days", "2016-04-12..2016-05-12"}, "delivery_id": {"delivery", ""}, "end_to_end_id": {"as", ""}, "explicit_step": {"explicit", ""},
	"fields": {"field", ""}, "group_id": {"group", ""}, "idempotency_key": {"key", ""}, "importer": {"importer", ""}, "key": {"to", ""},
	"keys": {"buyer", ""}, "language": {"language", ""}, "method": {"method", ""}, "offer_id": {"offer", ""}, "payout_id": {"payout", ""}, "person": {"person", ""}, "product": {"product", ""},
	"reason": {"reason", "FRAUD"}, "reference": {"reference", ""}, "replaces": {"buyer", ""}, "route": {"route", ""}, "schema": {"schema", "omh:step-count:3.0"}, "source_id": {"source", ""},
	"subscriber_id": {"subscriber", ""}, "value_date": {"value-date", "2026-11-25"}, "zone": {"zone", ""},

	"account.kind": {"kind", ""}, "account.owner_id": {"owner", ""},

	"bid.buyer_id": {"buyer", ""}, "bid.closes_at": {"closes", ""}, "bid.cohort_min": {"cohort", ""}, "bid.quantity": {"slots", ""},
	"bid.terms.cadence": {"cadence", ""}, "bid.terms.fields": {"field", ""}, "bid.terms.max_slots_per_person": {"per-person", ""},
	"bid.terms.min_assurance": {"assurance", ""}, "bid.terms.predicates": {"audience", ""}, "bid.terms.product": {"product", ""},
	"bid.terms.purpose": {"purpose", ""}, "bid.terms.retention_days": {"retention", ""},
	"bid.terms.slots": {"days", "2016-04-12..2016-05-12"}, "bid.terms.unit_price": {"price", ""},

	"entity.country": {"country", "BE"}, "entity.dpo_contact": {"dpo", ""}, "entity.legal_entity_id": {"entity", ""},
	"entity.legal_name": {"name", ""}, "entity.privacy_notice_uri": {"notice", ""}, "entity.processing_countries": {"processing", "BE"},

	"filter.buyer_id": {"buyer", ""}, "filter.from": {"from", ""}, "filter.product_id": {"product", ""}, "filter.to": {"to", ""},

	"rules.buyers_never": {"never-buyer", ""}, "rules.floors": {"floor", ""}, "rules.matching": {"matching", ""},
	"rules.matching_health": {"matching-health", ""}, "rules.max_agreements": {"max", ""}, "rules.products_never": {"never-product", ""},
	"rules.purposes_never": {"never-purpose", ""},
}

// defaults are parameters which, where they are not typed, take what another one says: it is that one which is wrong.
var defaults = map[string]string{"processing": "country"}

// element is a place in a list, as in fields[2].
var element = regexp.MustCompile(`\[(\d+)\]`)

// Field is a field of the contract as it is called on this command line.
func (s *Session) Field(path string) string {
	name, _ := s.say(path, "", false)
	return name
}

// say puts a field and what is wrong with it in the words of this command line. unset says that a parameter which was not typed may be
// what is wrong.
func (s *Session) say(path, wrong string, unset bool) (name, said string) {
	if wrong == "value is required" || wrong == "must not be in list [0]" { // as the contract's rules say it, of a message and of an enum
		wrong = "is missing"
	}
	plain := strings.TrimPrefix(strings.TrimPrefix(element.ReplaceAllString(path, ""), "header."), "connect.")
	var t typed
	for at := plain; t.param == ""; {
		t = names[at]
		dot := strings.LastIndexByte(at, '.')
		if dot < 0 {
			break
		}
		at = at[:dot]
	}
	p, known := s.Params[t.param]
	if other := defaults[t.param]; known && !p.Given && other != "" {
		p, path = s.Params[other], plain
	}
	if !p.Given {
		for _, file := range s.Params {
			if rest, in := strings.CutPrefix(path, file.Contract+"."); in && file.Contract != "" && file.Given {
				return rest + " in " + file.File, wrong // no flag says it, so the file does
			}
		}
	}
	switch {
	case !known:
		return path, wrong
	case !p.Given && unset:
		return p.Shown, "is missing"
	}
	if strings.Contains(wrong, "regex pattern") && t.as != "" {
		wrong = "is not of the form " + t.as
	}
	if n := element.FindStringSubmatch(path); n != nil {
		at, _ := strconv.Atoi(n[1]) // digits
		return fmt.Sprintf("%s #%d", p.Shown, at+1), wrong
	}
	return p.Shown, wrong
}

// spoken is a fault in the words of this command line.
func (s *Session) spoken(f *fault.Error) *fault.Error {
	own := *f
	own.Facts = nil
	request := f.Kind == fault.KindInvalid && f.Reason == ""
	for _, fact := range f.Facts {
		if fact.Name == "flaw" { // for programs: another fact has the words
			continue
		}
		if fact.Name == "field" { // that a fact is about
			fact.Text = s.Field(fact.Text)
		} else {
			fact.Name, fact.Text = s.say(fact.Name, fact.Text, request)
		}
		if !slices.Contains(own.Facts, fact) {
			own.Facts = append(own.Facts, fact)
		}
	}
	return &own
}
