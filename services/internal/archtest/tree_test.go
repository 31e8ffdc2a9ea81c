package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is one Go file.
type source struct {
	path    string // from the root, with slashes
	dir     string
	test    bool // of tests: a _test.go file, or a package named for tests such as estest
	pkg     string
	imports []string
	lines   int
	syntax  *ast.File
	pos     *token.FileSet
}

// at says where something stands.
func (s *source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.pos.Position(n.Pos()).Line)
}

// tree is the whole house.
type tree struct {
	files []*source
	paths map[string]bool // of every file and folder
}

// passed are folders with nothing of ours to hold to the plan.
func passed(p string) bool {
	base := path.Base(p)
	return p != "." && strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" ||
		p == "proto/gen" || p == "third_party" || p == "bin"
}

func load(root fs.FS) (*tree, error) {
	t := &tree{paths: map[string]bool{}}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && passed(p) {
			return fs.SkipDir
		}
		t.paths[p] = true
		if d.IsDir() || path.Ext(p) != ".go" {
			return nil
		}
		b, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		pos := token.NewFileSet()
		syntax, err := parser.ParseFile(pos, p, b, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := &source{
			path: p, dir: path.Dir(p), pkg: syntax.Name.Name, syntax: syntax, pos: pos,
			lines: strings.Count(string(b), "\n"),
			test:  strings.HasSuffix(p, "_test.go") || strings.HasSuffix(syntax.Name.Name, "test"),
		}
		for _, i := range syntax.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		t.files = append(t.files, s)
		return nil
	})
	return t, err
}

// ours is an import's path from the root, when it is ours.
func ours(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// standard says whether an import is of the standard library.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// place is where a folder is in the house: the service, if it is below one, and its room.
func place(dir string) (service, kind string) {
	part := strings.Split(dir, "/")
	if part[0] != "services" || len(part) < 2 {
		return "", ""
	}
	service = part[1]
	if !slices.Contains(services, service) {
		return service, ""
	}
	switch {
	case len(part) == 2:
		return service, "face"
	case part[2] == "cmd":
		return service, "cmd"
	case part[2] != "internal" || len(part) == 3:
		return service, "outside"
	case slices.Contains(rooms, part[3]):
		return service, part[3]
	case extras[service][part[3]] != "":
		if _, planned := plan[part[3]]; planned {
			return service, part[3]
		}
		return service, "extra"
	default:
		return service, "domain"
	}
}

// under says whether a path is the prefix or below it.
func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }
