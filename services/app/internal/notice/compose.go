package notice

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/policy"
)

// compose makes the sections that a person must find, in this order.
func (n *Notice) compose(w *words, cookies [2]string) []Section {
	return []Section{
		{"who", w.say("who.title"), n.who(w)},
		{"data", w.say("data.title"), n.data(w)},
		{"purposes", w.say("purposes.title"), n.purposes(w)},
		{"sharing", w.say("sharing.title"), n.sharing(w)},
		{"cookies", w.say("cookies.title"), n.cookies(w, cookies)},
		{"security", w.say("security.title"), n.security(w)},
		{"rights", w.say("rights.title"), n.rights(w)},
		{"children", w.say("children.title"), n.children(w)},
	}
}

func text(s string) Block { return Block{Text: s} }

func (n *Notice) who(w *words) []Block {
	o := n.operator
	blocks := []Block{text(w.say("who.operator", "operator", o.Name, "address", o.Address, "country", country(w, o.Country)))}
	if o.Synthetic {
		blocks = append(blocks, text(w.say("who.synthetic")))
	}
	return append(blocks, text(w.say("who.dpo", "dpo", o.DPO)), text(w.say("who.made")))
}

func (n *Notice) data(w *words) []Block {
	var fields [][]string
	for _, p := range n.Catalog.Products() {
		for _, f := range p.Fields {
			fields = append(fields, []string{product(w, p), w.name("field."+p.ID+"."+f.ID, f.Description), yes(w, p.Health)})
		}
	}
	var facts []string
	for _, f := range n.Catalog.Facts() {
		facts = append(facts, w.name("fact."+f.ID, f.Description))
	}
	var kept [][]string
	for _, p := range n.packs() {
		days := func(r policy.Row[int]) string {
			return w.say("common.days", "days", strconv.Itoa(r.Value)) + " (" + law(w, r.Source) + ")"
		}
		kept = append(kept, []string{country(w, p.Country), days(p.RetentionDays), days(p.FiscalDays)})
	}
	return []Block{
		text(w.say("data.account")),
		text(w.say("data.measurements")),
		{Head: []string{w.say("data.product"), w.say("data.field"), w.say("data.health")}, Rows: fields},
		text(w.say("data.facts")),
		{List: facts},
		text(w.say("data.traffic")),
		text(w.say("data.never")),
		text(w.say("data.kept")),
		{Head: []string{w.say("data.country"), w.say("data.proof"), w.say("data.books")}, Rows: kept},
	}
}

func (n *Notice) purposes(w *words) []Block {
	var rows [][]string
	for _, p := range n.Catalog.Products() {
		var names []string
		for _, iri := range p.Purposes {
			names = append(names, w.name("purpose."+iri[strings.LastIndexByte(iri, '#')+1:], catalog.Purpose(iri)))
		}
		rows = append(rows, []string{product(w, p), strings.Join(names, ", ")})
	}
	return []Block{
		{List: []string{w.say("purposes.show"), w.say("purposes.offers"), w.say("purposes.deliver"), w.say("purposes.pay"), w.say("purposes.prove")}},
		text(w.say("purposes.buyers")),
		{Head: []string{w.say("data.product"), w.say("purposes.purpose")}, Rows: rows},
	}
}

func (n *Notice) sharing(w *words) []Block {
	conditions := []string{w.say("sharing.one"), w.say("sharing.onward"), w.say("sharing.health")}
	var unpaid []string
	for _, p := range n.packs() {
		if !p.PaidHealth.Value {
			unpaid = append(unpaid, country(w, p.Country)+" ("+law(w, p.PaidHealth.Source)+")")
		}
	}
	if len(unpaid) > 0 {
		conditions = append(conditions, w.say("sharing.unpaid", "countries", strings.Join(unpaid, ", ")))
	}
	conditions = append(conditions, w.say("sharing.pseudonym"), w.say("sharing.key"), w.say("sharing.withdraw"), w.say("sharing.retention"))
	var cohorts [][]string
	for _, p := range n.Catalog.Products() {
		cohorts = append(cohorts, []string{product(w, p), strconv.Itoa(p.CohortMin)})
	}
	return []Block{
		text(w.say("sharing.nobody")),
		{List: conditions},
		text(w.say("sharing.cohort")),
		{Head: []string{w.say("data.product"), w.say("sharing.people")}, Rows: cohorts},
		text(w.say("sharing.gpc")),
	}
}

func (n *Notice) cookies(w *words, names [2]string) []Block {
	minutes := func(d time.Duration) string { return strconv.Itoa(int(d / time.Minute)) }
	return []Block{
		text(w.say("cookies.intro")),
		{Head: []string{w.say("cookies.name"), w.say("cookies.for"), w.say("cookies.long")}, Rows: [][]string{
			{names[0], w.say("cookies.session"), w.say("cookies.idle", "minutes", minutes(n.Life), "idle", minutes(n.Idle))},
			{names[1], w.say("cookies.login"), w.say("cookies.minutes", "minutes", minutes(n.Login))},
		}},
		text(w.say("cookies.storage")),
	}
}

func (n *Notice) security(w *words) []Block {
	hours := 0
	for _, p := range n.packs() {
		hours = max(hours, p.BreachHours.Value)
	}
	return []Block{{List: []string{
		w.say("security.sealed"), w.say("security.events"), w.say("security.people"), w.say("security.token"),
		w.say("security.breach", "hours", strconv.Itoa(hours)),
	}}}
}

func (n *Notice) rights(w *words) []Block {
	var rows [][]string
	for _, p := range n.packs() {
		rows = append(rows, []string{country(w, p.Country), p.Authority.Value, p.AuthorityURI.Value})
	}
	return []Block{
		{List: []string{
			w.say("rights.see", "path", "/data"), w.say("rights.export", "path", "/data"), w.say("rights.uses", "path", "/uses"),
			w.say("rights.correct", "path", "/rights"), w.say("rights.record", "path", "/record"), w.say("rights.officer", "dpo", n.operator.DPO),
		}},
		text(w.say("rights.authority")),
		{Head: []string{w.say("data.country"), w.say("rights.name"), w.say("rights.web")}, Rows: rows},
	}
}

func (n *Notice) children(w *words) []Block {
	var rows [][]string
	for _, p := range n.packs() {
		years := func(r policy.Row[int]) string {
			return w.say("children.years", "years", strconv.Itoa(r.Value)) + " (" + law(w, r.Source) + ")"
		}
		rows = append(rows, []string{country(w, p.Country), years(p.AdultAge), years(p.ConsentAge)})
	}
	return []Block{
		text(w.say("children.adult")),
		{Head: []string{w.say("data.country"), w.say("children.age"), w.say("children.consent")}, Rows: rows},
	}
}

// packs are those that apply now, by country.
func (n *Notice) packs() []policy.Pack {
	var out []policy.Pack
	for _, c := range n.Rules.Countries() {
		if p, err := n.Rules.At(c, n.Now()); err == nil { // one that begins later does not apply yet
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b policy.Pack) int { return cmp.Compare(a.Country, b.Country) })
	return out
}

func product(w *words, p catalog.Product) string { return w.name("product."+p.ID, p.Description) }

func country(w *words, code string) string { return w.name("country."+code, code) }

// law is an article as its pack cites it; a rule of the house says so.
func law(w *words, source string) string {
	if source == "house" {
		return w.say("common.house")
	}
	return source
}

func yes(w *words, is bool) string {
	if is {
		return w.say("common.yes")
	}
	return w.say("common.no")
}
