// Package notice is the privacy policy as data, and what the page must know of the operator. The policy is made, in every language, of the
// same product catalogue and policy packs that the services follow, the operator's file and the edge's own limits: what it says cannot
// differ from what is done, as far as files can say it. The words around it are in messages; history.json tells what has changed.
//
// It is no template engine: each section is a few lines of Go that ask for messages by name.
package notice

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/services/app/internal/door"
	"github.com/obole-market/obole/services/app/internal/reply"
)

// Languages are those in which everything is said; the first is taken where nothing else fits.
var Languages = []string{"en", "fr", "es"}

var matcher = language.NewMatcher([]language.Tag{language.English, language.French, language.Spanish})

// Block is one part of a section: a text, a list or a table.
type Block struct {
	Text string     `json:"text,omitempty"`
	List []string   `json:"list,omitempty"`
	Head []string   `json:"head,omitempty"`
	Rows [][]string `json:"rows,omitempty"`
}

// Section of the policy.
type Section struct {
	ID     string  `json:"id"`
	Title  string  `json:"title"`
	Blocks []Block `json:"blocks"`
}

// Told is a change in one language.
type Told struct {
	Version string   `json:"version"`
	Since   string   `json:"since"`
	What    []string `json:"what"`
}

// Policy is the whole in one language.
type Policy struct {
	Version   string    `json:"version"`
	Since     string    `json:"since"`
	Language  string    `json:"language"`
	Languages []string  `json:"languages"`
	Title     string    `json:"title"`
	Sections  []Section `json:"sections"`
	Changes   []Told    `json:"changes"`
}

// Options of a Notice.
type Options struct {
	// Operator is the operator's file; empty means the one built in.
	Operator string
	Catalog  *catalog.Catalog
	Rules    *policy.Set
	// Cookies are the names of the session's and the login's cookie.
	Cookies [2]string
	// Life and Idle are the session's limits, Login how long signing in may take.
	Life, Idle, Login time.Duration
	// Most is the largest file that may be imported, in bytes.
	Most int64
	Now  func() time.Time
}

// Notice serves /api/privacy, /api/config and /.well-known/gpc.json.
type Notice struct {
	Options

	operator Operator
	history  []Change

	mu   sync.Mutex
	day  string // on which the edition was made: a pack may begin to apply at midnight
	made map[string]*edition
}

// edition is the policy of one day in one language, as it is sent.
type edition struct {
	*Policy

	body []byte
	etag string
}

//go:embed messages/*.json
var messageFiles embed.FS

//go:embed history.json
var historyFile []byte

// Open reads the files, and makes the policy once, so that what is wrong with them is known at the start.
func Open(o Options) (*Notice, error) {
	n := &Notice{Options: o}
	var err error
	if n.operator, err = openOperator(o.Operator); err != nil {
		return nil, err
	}
	if err := decode(historyFile, &n.history); err != nil || len(n.history) == 0 {
		return nil, fmt.Errorf("notice: history.json: %w", err)
	}
	_, err = n.current(Languages[0])
	return n, err
}

// current is today's edition.
func (n *Notice) current(lang string) (*edition, error) {
	day := n.Now().UTC().Format(time.DateOnly)
	n.mu.Lock()
	defer n.mu.Unlock()
	if day != n.day {
		made, err := n.editions()
		if err != nil {
			return nil, err
		}
		n.day, n.made = day, made
	}
	return n.made[lang], nil
}

// usual are the cookies' names over TLS: where the page is served is no change of the policy.
var usual = [2]string{"__Host-obole-session", "__Host-obole-login"}

func (n *Notice) editions() (map[string]*edition, error) {
	digest, err := n.digest()
	if err != nil {
		return nil, err
	}
	version, since := n.history[0].Version, n.history[0].Since
	if digest != n.history[0].Digest { // other files than those built in
		version += "-" + digest[:8]
	}
	changes := slices.Concat(n.operator.Changes, n.history)
	if len(n.operator.Changes) > 0 {
		since = changes[0].Since
	}
	made := map[string]*edition{}
	for _, lang := range Languages {
		w, err := wordsOf(lang)
		if err != nil {
			return nil, err
		}
		p := &Policy{
			Version: version, Since: since, Language: lang, Languages: Languages, Title: w.say("title"), Sections: n.compose(w, n.Cookies),
		}
		for _, c := range changes {
			p.Changes = append(p.Changes, Told{c.Version, c.Since, c.What[lang]})
		}
		body, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		tag := sha256.Sum256(body)
		made[lang] = &edition{Policy: p, body: body, etag: `"` + hex.EncodeToString(tag[:8]) + `"`}
	}
	return made, nil
}

// digest is over all that the policy says, in every language: a word that is changed is another version.
func (n *Notice) digest() (string, error) {
	sum := sha256.New()
	for _, lang := range Languages {
		w, err := wordsOf(lang)
		if err != nil {
			return "", err
		}
		b, err := json.Marshal(n.compose(w, usual))
		if err != nil {
			return "", err
		}
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Choose is the language of a request: the one it asks for, else the browser's.
func Choose(r *http.Request) string {
	asked := r.URL.Query().Get("lang")
	if asked == "" {
		asked = r.Header.Get("Accept-Language")
	}
	_, n := language.MatchStrings(matcher, asked)
	return Languages[n]
}

// Privacy serves the policy. It is nobody's own, so it may be kept as long as it is asked after.
func (n *Notice) Privacy(w http.ResponseWriter, r *http.Request) {
	e, err := n.current(Choose(r))
	if err != nil {
		reply.Refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Language")
	h.Set("ETag", e.etag)
	h.Set("Content-Language", e.Language)
	if r.Header.Get("If-None-Match") == e.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(e.body) // the reader has gone, nobody to tell
}

// Config serves what the page needs before anybody has signed in.
func (n *Notice) Config(w http.ResponseWriter, r *http.Request) {
	e, err := n.current(Choose(r))
	if err != nil {
		reply.Refuse(w, r, err)
		return
	}
	w.Header().Set("Vary", "Accept-Language, Sec-GPC")
	operator := n.operator
	operator.Changes = nil
	authorities := []Authority{}
	for _, p := range n.packs() {
		authorities = append(authorities, Authority{p.Country, p.Authority.Value, p.AuthorityURI.Value})
	}
	reply.JSON(w, map[string]any{
		"operator": operator, "authorities": authorities, "languages": Languages, "language": e.Language, "gpc": door.Private(r),
		"privacy": map[string]string{"version": e.Version, "since": e.Since}, "import": map[string]int64{"max_bytes": n.Most},
	})
}

// GPC says that the signal is honoured (Global Privacy Control, 4.1).
func (n *Notice) GPC(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	reply.JSON(w, map[string]any{"gpc": true, "lastUpdate": n.history[len(n.history)-1].Since})
}

// words are the messages of one language.
type words struct {
	lang string
	all  map[string]string
	used map[string]bool
}

func wordsOf(lang string) (*words, error) {
	b, err := messageFiles.ReadFile("messages/" + lang + ".json")
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	w := &words{lang: lang, used: map[string]bool{}}
	if err := json.Unmarshal(b, &w.all); err != nil {
		return nil, fmt.Errorf("notice: messages of %s: %w", lang, err)
	}
	return w, nil
}

// say is a message with its places filled, "{name}" by the value behind "name". That none is missing, a test holds.
func (w *words) say(key string, pairs ...string) string {
	w.used[key] = true
	text := w.all[key]
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, "{"+pairs[i]+"}", pairs[i+1])
	}
	return text
}

// name is a message where there is one, else the words of the file: an operator's own product has none here.
func (w *words) name(key, own string) string {
	if text := w.say(key); text != "" {
		return text
	}
	return own
}
