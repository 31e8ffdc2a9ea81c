package issuer

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"

	"golang.org/x/text/language"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// words of the page in one language.
type words struct {
	Lang, Title, Ask, About, New, People, Buyers, Staff string
}

var (
	languages = []string{"en", "fr", "es"}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.French, language.Spanish})
	spoken    = []words{
		{
			"en", "Sign in", "Who do you want to be?", "This market runs on one machine and is there to be looked at: it asks for no password.",
			"Somebody new", "People", "Buyers", "Staff",
		},
		{
			"fr", "Se connecter", "Qui voulez-vous être ?", "Ce marché tourne sur une seule machine et se laisse regarder : il ne demande pas de mot de passe.",
			"Quelqu'un de nouveau", "Personnes", "Acheteurs", "Personnel",
		},
		{
			"es", "Iniciar sesión", "¿Quién quiere ser?", "Este mercado funciona en una sola máquina y está para verlo: no pide contraseña.",
			"Alguien nuevo", "Personas", "Compradores", "Personal",
		},
	}
)

//go:embed style.css
var sheet []byte

// The form posts back to the same address, parameters included. Each button is one person: chosen by keyboard, mouse or voice, by its name.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.About}}</p>
<form method="post">
<h2>{{.Ask}}</h2>
{{- range .Groups}}
<section aria-labelledby="{{.ID}}">
<h3 id="{{.ID}}">{{.Title}}</h3>
<ul>
{{- range .Who}}
<li><button name="subject" value="{{.Subject}}">{{.Label}}</button></li>
{{- end}}
</ul>
</section>
{{- end}}
</form>
</main>
</body>
</html>
`))

// group is those of one kind.
type group struct {
	ID, Title string
	Who       []Principal
}

// page lets a person choose who to be.
func (i *Issuer) page(w http.ResponseWriter, r *http.Request) {
	g, ok := i.asked(w, r.URL.Query())
	if !ok {
		return
	}
	all, err := i.everybody()
	if err != nil {
		http.Error(w, "who may sign in cannot be read now", http.StatusServiceUnavailable)
		return
	}
	asked := r.URL.Query().Get("ui_locales")
	if asked == "" {
		asked = r.Header.Get("Accept-Language")
	}
	_, n := language.MatchStrings(matcher, asked)
	said := spoken[n]
	people, buyers, staff := group{ID: "people", Title: said.People}, group{ID: "buyers", Title: said.Buyers}, group{ID: "staff", Title: said.Staff}
	for _, p := range all {
		of := &staff
		for _, role := range p.Roles {
			switch role {
			case eventv1.Role_ROLE_SUBSCRIBER:
				of = &people
			case eventv1.Role_ROLE_BUYER:
				of = &buyers
			}
		}
		of.Who = append(of.Who, p)
	}
	if i.cfg.Newcomer != nil {
		people.Who = append(people.Who, Principal{Subject: newcomer, Label: said.New})
	}
	groups := make([]group, 0, 3)
	for _, of := range []group{people, buyers, staff} {
		if len(of.Who) > 0 {
			groups = append(groups, of)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", said.Lang)
	h.Set("Content-Security-Policy", policy(g.redirect))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_ = page.Execute(w, struct { // the reader has gone, nobody to tell
		words
		Groups []group
	}{said, groups})
}

// policy lets the page have its style sheet and send its form: to itself, and from there to where the client wants people back, which
// browsers hold a form to as well.
func policy(back string) string {
	text := "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	if u, err := url.Parse(back); err == nil {
		text += " " + u.Scheme + "://" + u.Host
	}
	return text
}

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(sheet) // the reader has gone, nobody to tell
}
