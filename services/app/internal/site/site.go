// Package site serves the page's files: its text on every path that is a screen of the page, hashed assets for a year, everything
// compressed once, at the start. Whoever follows a link to nothing gets a page that says so, in their language.
package site

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Screens are the paths, with those below them, that the page itself answers.
var Screens = []string{"/data", "/offers", "/rules", "/uses", "/money", "/inbox", "/record", "/rights", "/privacy", "/more", "/console", "/welcome"}

// hashed is the folder whose files have a hash of their content in their names.
const hashed = "assets/"

// file is one file as it is sent.
type file struct {
	kind, etag string
	plain      []byte
	packed     map[string][]byte // by content coding, where that is smaller
}

// Site is an http.Handler.
type Site struct {
	files  map[string]*file // by path without the first slash
	lost   map[string]*file // what is said of paths that are none, by language
	choose func(*http.Request) string
}

// Open reads all files of a folder, which must hold index.html. A file NAME.br or NAME.gz beside NAME is NAME compressed; what has no .gz
// is compressed here. lost.LANGUAGE.html is what is said of a path that is none, and has no path itself; choose is the language of a
// request.
func Open(folder fs.FS, choose func(*http.Request) string) (*Site, error) {
	s := &Site{files: map[string]*file{}, lost: map[string]*file{}, choose: choose}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir // what a builder has left for itself
		}
		if err != nil || d.IsDir() || packedName(folder, name) || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		f, err := read(folder, name)
		if m := lostName.FindStringSubmatch(name); m != nil {
			s.lost[m[1]] = f
		} else {
			s.files[name] = f
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	if s.files["index.html"] == nil {
		return nil, fmt.Errorf("site: there is no index.html")
	}
	return s, nil
}

var lostName = regexp.MustCompile(`^lost\.([a-z]+)\.html$`)

// codings are those that browsers take, the better one first, and how their files' names end.
var codings = []struct{ name, ext string }{{"br", ".br"}, {"gzip", ".gz"}}

// packedName says whether a file is the compressed form of one beside it.
func packedName(folder fs.FS, name string) bool {
	return slices.ContainsFunc(codings, func(c struct{ name, ext string }) bool {
		base, is := strings.CutSuffix(name, c.ext)
		if !is {
			return false
		}
		_, err := fs.Stat(folder, base)
		return err == nil
	})
}

func read(folder fs.FS, name string) (*file, error) {
	b, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	f := &file{kind: kind(name), plain: b, etag: hex.EncodeToString(sum[:8]), packed: map[string][]byte{}}
	for _, c := range codings {
		if p, err := fs.ReadFile(folder, name+c.ext); err == nil && len(p) < len(b) {
			f.packed[c.name] = p
		}
	}
	if f.packed["gzip"] == nil && compressible(f.kind) {
		var out bytes.Buffer
		w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		if out.Len() < len(b) {
			f.packed["gzip"] = out.Bytes()
		}
	}
	return f, nil
}

// kinds are named here: what the machine's own table says differs from one to the next.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml",
	".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
	".wasm": "application/wasm", ".map": "application/json",
}

func kind(name string) string {
	ext := path.Ext(name)
	if k := kinds[ext]; k != "" {
		return k
	}
	if k := mime.TypeByExtension(ext); k != "" {
		return k
	}
	return "application/octet-stream"
}

func compressible(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "application/") && kind != "application/octet-stream" || kind == "image/svg+xml"
}

// ServeHTTP serves a file, the page's text for its screens, and 404 for the rest.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	f := s.files[name]
	if f == nil && screen(r.URL.Path) {
		f, name = s.files["index.html"], "index.html"
	}
	if f == nil {
		s.nowhere(w, r)
		return
	}
	f.serve(w, r, name)
}

// nowhere answers for a path that is none: people get a page, programs and what a page asks for itself a line.
func (s *Site) nowhere(w http.ResponseWriter, r *http.Request) {
	language := s.choose(r)
	f := s.lost[language]
	if f == nil || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Language", language)
	h.Set("Vary", "Accept, Accept-Language")
	w.WriteHeader(http.StatusNotFound)
	if r.Method == http.MethodGet {
		_, _ = w.Write(f.plain) // the reader has gone, nobody to tell
	}
}

func screen(p string) bool {
	return p == "/" || slices.ContainsFunc(Screens, func(s string) bool { return p == s || strings.HasPrefix(p, s+"/") })
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, hashed) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if name == "sw.js" {
		h.Set("Service-Worker-Allowed", "/")
	}
	body, etag := f.plain, f.etag
	for _, c := range codings {
		if p := f.packed[c.name]; p != nil && accepts(r.Header.Get("Accept-Encoding"), c.name) {
			h.Set("Content-Encoding", c.name)
			body, etag = p, f.etag+"-"+c.name
			break
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	if slices.Contains(strings.Split(strings.ReplaceAll(r.Header.Get("If-None-Match"), " ", ""), ","), `"`+etag+`"`) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the reader has gone, nobody to tell
	}
}

// accepts says whether a content coding is asked for; "q=0" is the way to refuse one.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) == coding {
			weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
			return err != nil || weight > 0
		}
	}
	return false
}
