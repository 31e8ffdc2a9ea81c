package site_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/obole-market/obole/services/app/internal/site"
	"github.com/obole-market/obole/services/app/web"
)

func page() fstest.MapFS {
	long := strings.Repeat("let a = 1\n", 100)
	return fstest.MapFS{
		"index.html": {Data: []byte("<!doctype html><title>Obole</title>" + strings.Repeat(" ", 100))}, "assets/app-1a2b3c.js": {Data: []byte(long)}, "assets/app-1a2b3c.js.br": {Data: []byte("brotli")},
		"assets/logo-1.svg": {Data: []byte("<svg/>")}, "sw.js": {Data: []byte("self")}, "manifest.webmanifest": {Data: []byte("{}")}, ".vite/manifest.json": {Data: []byte("{}")},
		"alone.gz": {Data: []byte("of its own")}, "lost.en.html": {Data: []byte("<h1>Nothing here</h1>")}, "lost.fr.html": {Data: []byte("<h1>Rien ici</h1>")},
	}
}

func language(r *http.Request) string {
	return strings.Split(r.Header.Get("Accept-Language"), "-")[0]
}

func get(t *testing.T, s *site.Site, to string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, to, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestFilesAndScreens(t *testing.T) {
	t.Parallel()
	s, err := site.Open(page(), language)
	if err != nil {
		t.Fatal(err)
	}
	const asset, text = "public, max-age=31536000, immutable", "no-cache"
	for to, want := range map[string]struct {
		status      int
		kind, cache string
	}{
		"/":                     {200, "text/html; charset=utf-8", text},
		"/index.html":           {200, "text/html; charset=utf-8", text},
		"/offers":               {200, "text/html; charset=utf-8", text},
		"/console/bids/17":      {200, "text/html; charset=utf-8", text},
		"/privacy/":             {200, "text/html; charset=utf-8", text},
		"/offersx":              {404, "text/plain; charset=utf-8", ""},
		"/assets/gone-1.js":     {404, "text/plain; charset=utf-8", ""},
		"/assets/app-1a2b3c.js": {200, "text/javascript; charset=utf-8", asset},
		"/assets/logo-1.svg":    {200, "image/svg+xml", asset},
		"/sw.js":                {200, "text/javascript; charset=utf-8", text},
		"/manifest.webmanifest": {200, "application/manifest+json", text},
		"/alone.gz":             {200, "", text},
		"/.vite/manifest.json":  {404, "text/plain; charset=utf-8", ""},
		"/../index.html":        {404, "text/plain; charset=utf-8", ""},
		"/lost.en.html":         {404, "text/plain; charset=utf-8", ""},
	} {
		got := get(t, s, to)
		if got.Code != want.status || want.kind != "" && got.Header().Get("Content-Type") != want.kind || got.Header().Get("Cache-Control") != want.cache {
			t.Errorf("%s: %d %v", to, got.Code, got.Header())
		}
	}
	// People who come to nothing are told so in their language; where there is none of it, and to programs, in a line.
	for accept, want := range map[string]string{"en": "Nothing here", "fr-BE": "Rien ici", "de": "404 page not found"} {
		got := get(t, s, "/nosuch", "Accept", "text/html,*/*;q=0.8", "Accept-Language", accept)
		if got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), want) || want != "404 page not found" && got.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("nothing, in %s: %d %v %s", accept, got.Code, got.Header(), got.Body)
		}
	}
	if got := get(t, s, "/nosuch", "Accept", "*/*", "Accept-Language", "en"); got.Code != http.StatusNotFound || strings.Contains(got.Body.String(), "<") {
		t.Errorf("nothing, to a program: %d %s", got.Code, got.Body)
	}
	if got := get(t, s, "/sw.js").Header().Get("Service-Worker-Allowed"); got != "/" {
		t.Errorf("the worker's scope: %q", got)
	}
	if _, err := site.Open(fstest.MapFS{"a": {}}, language); err == nil {
		t.Error("a page without index.html was taken")
	}
	if _, err := site.Open(web.Dist(), language); err != nil {
		t.Errorf("the page that is built in: %v", err)
	}
}

func TestCompressionAndETags(t *testing.T) {
	t.Parallel()
	s, err := site.Open(page(), language)
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{"": "", "gzip, deflate, br, zstd": "br", "gzip": "gzip", "br;q=0, gzip;q=0.5": "gzip", "br;q=0": "", "zstd": ""} {
		got := get(t, s, "/assets/app-1a2b3c.js", "Accept-Encoding", accept)
		if got.Header().Get("Content-Encoding") != want || got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accept, got.Header())
		}
		tag := got.Header().Get("ETag")
		if again := get(t, s, "/assets/app-1a2b3c.js", "Accept-Encoding", accept, "If-None-Match", `"x", `+tag); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%q: asked again, %d", accept, again.Code)
		}
	}
	if get(t, s, "/assets/app-1a2b3c.js").Header().Get("ETag") == get(t, s, "/assets/app-1a2b3c.js", "Accept-Encoding", "br").Header().Get("ETag") {
		t.Error("two representations have one ETag")
	}
	if got := get(t, s, "/assets/app-1a2b3c.js.br"); got.Code != http.StatusNotFound {
		t.Errorf("the compressed form by its own name: %d", got.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("a post: %d", w.Code)
	}
	head := httptest.NewRecorder()
	s.ServeHTTP(head, httptest.NewRequest(http.MethodHead, "/", nil))
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "" {
		t.Errorf("a head: %d, %d bytes", head.Code, head.Body.Len())
	}
}
