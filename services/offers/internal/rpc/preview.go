package rpc

import (
	"context"
	"slices"

	"github.com/obole-market/obole/pkg/fault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// PreviewRules says what rules would do to the offers that are open now.
func (s *Server) PreviewRules(ctx context.Context, r *offersv1.PreviewRulesRequest) (*offersv1.PreviewRulesResponse, error) {
	person, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	tried, err := trial(r.GetRules())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	a, err := s.ask(ctx, r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	out := new(offersv1.PreviewRulesResponse)
	pack, err := s.Policy.At(a.profile.GetCountry(), s.Now())
	if a.profile.GetNotEligible() != 0 || err != nil {
		out.NotEligible = offersv1.Reason_REASON_NOT_ELIGIBLE
		return out, nil //nolint:nilerr // a country without a pack is an answer
	}
	stand, err := trial(a.profile.GetRules())
	if err != nil {
		return nil, err
	}
	if r.GetRules() == nil {
		tried = stand
	}
	all, err := s.reachable(ctx, a, s.rates(pack), person, pack)
	if err != nil {
		return nil, err
	}
	answers, err := s.View.Offers(ctx, person, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if answered(answers[c.Bid].State) || c.like {
			continue
		}
		before, now := stand.hides(a, c), tried.hides(a, c)
		for _, i := range now {
			tried.effects[i].Hides++
			if len(now) == 1 {
				tried.effects[i].Alone++
			}
		}
		switch {
		case len(now) == 0:
			out.Shown++
			if len(before) > 0 {
				out.NewlyShown++
			}
		default:
			out.Hidden++
			if len(before) == 0 {
				out.NewlyHidden++
			}
		}
	}
	out.Effects = tried.effects
	return out, nil
}

// answered says that an offer is no open question any more.
func answered(state string) bool { return state != "" && state != "presented" && state != "voided" }

// trying is rules that are tried, each with what it does. What two rules of a kind say of the same is one.
type trying struct {
	rules   *consentv1.Rules
	effects []*offersv1.RuleEffect
	at      map[effect]int
}

type effect struct {
	kind    offersv1.RuleKind
	subject string
}

// trial lists rules in their order.
func trial(rules *consentv1.Rules) (*trying, error) {
	t := &trying{rules: rules, at: map[effect]int{}}
	for _, f := range rules.GetFloors() {
		if !t.add(offersv1.RuleKind_RULE_KIND_FLOOR, f.GetProduct()) {
			return nil, fault.Invalid("rules.floors", "must name each product once")
		}
	}
	t.add(offersv1.RuleKind_RULE_KIND_MATCHING, "")
	for _, p := range rules.GetPurposesNever() {
		t.add(offersv1.RuleKind_RULE_KIND_PURPOSE, p)
	}
	for _, b := range rules.GetBuyersNever() {
		t.add(offersv1.RuleKind_RULE_KIND_BUYER, b)
	}
	for _, p := range rules.GetProductsNever() {
		t.add(offersv1.RuleKind_RULE_KIND_PRODUCT, p)
	}
	t.add(offersv1.RuleKind_RULE_KIND_LIMIT, "")
	return t, nil
}

func (t *trying) add(kind offersv1.RuleKind, subject string) bool {
	key := effect{kind, subject}
	if _, known := t.at[key]; known {
		return false
	}
	t.at[key] = len(t.effects)
	t.effects = append(t.effects, &offersv1.RuleEffect{Kind: kind, Subject: subject})
	return true
}

// hides gives the rules that hide an offer.
func (t *trying) hides(a asker, c candidate) (by []int) {
	terms := c.Placed.GetTerms()
	note := func(kind offersv1.RuleKind, subject string, hides bool) {
		if i, known := t.at[effect{kind, subject}]; known && hides {
			by = append(by, i)
		}
	}
	product := terms.GetProduct().GetId()
	if i := slices.IndexFunc(t.rules.GetFloors(), func(f *consentv1.Floor) bool { return f.GetProduct() == product }); i >= 0 {
		f := t.rules.GetFloors()[i]
		note(offersv1.RuleKind_RULE_KIND_FLOOR, product, f.GetCurrency() != terms.GetUnitPrice().GetCurrency() || c.net < f.GetMicros())
	}
	most := t.rules.GetMaxAgreements()
	note(offersv1.RuleKind_RULE_KIND_MATCHING, "", len(terms.GetPredicates()) > 0 && !matching(t.rules))
	note(offersv1.RuleKind_RULE_KIND_PURPOSE, terms.GetPurpose(), true)
	note(offersv1.RuleKind_RULE_KIND_BUYER, c.Placed.GetBuyerId(), true)
	note(offersv1.RuleKind_RULE_KIND_PRODUCT, product, true)
	note(offersv1.RuleKind_RULE_KIND_LIMIT, "", most > 0 && a.profile.GetAgreements() >= most)
	return by
}
