package boot

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// files parses the production code of this house.
func files(t *testing.T, visit func(path string, pos *token.FileSet, f *ast.File)) {
	t.Helper()
	pos := token.NewFileSet()
	for _, folder := range []string{"pkg", "services", "deploy"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(pos, path, nil, parser.SkipObjectResolution)
			if err == nil {
				visit(path, pos, f)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// logging are the functions that take pairs of keys and values, with the place of the first key.
var logging = map[string]int{
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "With": 0, "alarm": 1,
}

// TestKeysOfLogLinesAreListed: what is not listed is logged as redacted, so a key that is used has to be; and an error goes in as it
// is, for its text must not.
func TestKeysOfLogLinesAreListed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	files(t, func(_ string, pos *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			first, logs := logging[sel.Sel.Name]
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "http" {
				return true
			}
			if !logs || call.Ellipsis.IsValid() {
				return true
			}
			for i := first; i+1 < len(call.Args); i += 2 {
				lit, ok := call.Args[i].(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true // no pairs: another function of the name
				}
				key, _ := strconv.Unquote(lit.Value)
				used[key] = true
				if !shown[key] {
					t.Errorf("%s: the key %q is not on the list", pos.Position(lit.Pos()), key)
				}
				if text, ok := call.Args[i+1].(*ast.CallExpr); ok {
					if s, ok := text.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "Error" || strings.HasPrefix(s.Sel.Name, "Sprint")) {
						t.Errorf("%s: the text of an error, or one made for it, is logged", pos.Position(text.Pos()))
					}
				}
			}
			return true
		})
	})
	for _, key := range []string{"error", "panic", "reader", "reaction", "partition", "service", "method"} {
		if !used[key] {
			t.Errorf("no line with %q was found: is this test looking?", key)
		}
	}
}

// TestSpeakersAreListed: an error that begins with its package's name is told as it is, if the package is listed.
func TestSpeakersAreListed(t *testing.T) {
	t.Parallel()
	begins, found := regexp.MustCompile(`^"([a-z]+): `), map[string]bool{}
	files(t, func(path string, pos *token.FileSet, f *ast.File) {
		part := strings.Split(filepath.ToSlash(path), "/")[2:]
		if part[0] == "deploy" || slices.Contains([]string{"embedded", "issuer", "obole", "internal", "figure"}, part[1]) || strings.HasSuffix(f.Name.Name, "test") {
			return // not of a service at work
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Errorf" && sel.Sel.Name != "New" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if m := begins.FindStringSubmatch(lit.Value); m != nil && m[1] == f.Name.Name {
				found[m[1]] = true
				if !slices.Contains(speakers, m[1]) {
					t.Errorf("%s: the package %s is no speaker", pos.Position(lit.Pos()), m[1])
				}
			}
			return true
		})
	})
	for _, s := range speakers {
		if !found[s] {
			t.Errorf("nobody speaks as %s", s)
		}
	}
}
