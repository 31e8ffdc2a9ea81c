package worldtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Reasons holds what a service refuses for and its contract's Reason to the same names, both ways: every reason that the code below a
// folder gives a fault is a value of the enum, and comes through the service's own codec; and every value is such a reason, or one of those
// that no call gives, each with why.
func Reasons(t testing.TB, folder string, enum protoreflect.EnumDescriptor, codec func(reason string) string, silent map[string]string) {
	t.Helper()
	given := given(t, folder)
	if len(given) == 0 {
		t.Fatalf("nothing is refused below %s", folder)
	}
	values := map[string]bool{}
	for i := range enum.Values().Len() {
		if v := enum.Values().Get(i); v.Number() != 0 {
			values[strings.TrimPrefix(string(v.Name()), "REASON_")] = true
		}
	}
	for name, where := range given {
		if !values[name] {
			t.Errorf("%s: %s is no Reason of the contract", where, name)
		} else if got := codec(name); got != name {
			t.Errorf("%s: %s is told as %q", where, name, got)
		}
		if silent[name] != "" {
			t.Errorf("%s: %s is refused for, though it is excepted", where, name)
		}
	}
	for name := range values {
		if given[name] == "" && silent[name] == "" {
			t.Errorf("nothing refuses for %s", name)
		}
	}
	for name := range silent {
		if !values[name] {
			t.Errorf("%s is excepted, and is no Reason of the contract", name)
		}
	}
}

// makers are the functions of package fault that take a reason, and which of their arguments it is.
var makers = map[string]int{"Refuse": 0, "NotFound": 0, "Exists": 0, "Conflict": 0, "Denied": 0, "Exhausted": 0, "New": 1, "Named": 0}

// given finds the reasons in the code below a folder, tests aside, each with the place of one use.
func given(t testing.TB, folder string) map[string]string {
	t.Helper()
	found, files := map[string]string{}, token.NewFileSet()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fn, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at, makes := makers[fn.Sel.Name]
			from, _ := fn.X.(*ast.Ident)
			if !makes || len(call.Args) <= at || fn.Sel.Name != "Named" && (from == nil || from.Name != "fault") {
				return true
			}
			if lit, ok := call.Args[at].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if name, err := strconv.Unquote(lit.Value); err == nil && name != "" {
					found[name] = files.Position(lit.Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
