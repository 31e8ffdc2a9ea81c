package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// rule looks at the tree and says what is wrong with it, one sentence for each violation.
type rule func(*tree) []string

var rules = map[string]rule{
	"arrow":    arrow,
	"rooms":    roomTable,
	"clock":    clock,
	"seams":    seams,
	"same":     sameRooms,
	"testing":  noTesting,
	"size":     size,
	"skipped":  skipped,
	"drawers":  noDrawers,
	"embedded": onlyObole,
	"edge":     edgeRooms,
}

// arrow: the contract imports nothing of ours, pkg never services, a service never another.
func arrow(t *tree) (wrong []string) {
	for _, f := range t.files {
		service, kind := place(f.dir)
		for _, imported := range f.imports {
			to, our := ours(imported)
			if !our {
				continue
			}
			target, _ := place(to)
			switch {
			case under(f.dir, "proto") && !under(to, "proto"):
				wrong = append(wrong, fmt.Sprintf("%s: the contract imports %s", f.path, to))
			case under(f.dir, "pkg") && !under(to, "pkg") && !under(to, "proto"):
				wrong = append(wrong, fmt.Sprintf("%s: pkg imports %s", f.path, to))
			case f.test && under(to, "services/internal/worldtest"):
				// Tests share their surroundings.
			case kind != "" && target != "" && target != service:
				wrong = append(wrong, fmt.Sprintf("%s: service %s imports %s", f.path, service, to))
			}
		}
	}
	return wrong
}

// roomTable: what a room's production code imports is in the plan.
func roomTable(t *tree) (wrong []string) {
	for _, f := range t.files {
		service, kind := place(f.dir)
		if kind == "outside" {
			wrong = append(wrong, fmt.Sprintf("%s: stands outside the rooms of %s", f.path, service))
			continue
		}
		if kind == "" || f.test {
			continue
		}
		for _, imported := range f.imports {
			if !plan[kind].allows(f.dir, imported) {
				wrong = append(wrong, fmt.Sprintf("%s: %s imports %s", f.path, kind, imported))
			}
		}
	}
	return wrong
}

func (r room) allows(dir, imported string) bool {
	to, our := ours(imported)
	service, _ := place(dir)
	target, kind := place(to)
	switch {
	case standard(imported):
		return r.std == nil || slices.Contains(r.std, imported)
	case !our:
		starts := func(prefix string) bool { return strings.HasPrefix(imported, prefix) }
		return slices.ContainsFunc(r.third, starts) && !slices.ContainsFunc(r.never, starts)
	case under(to, "proto"):
		return r.gen
	case under(to, "third_party"):
		return slices.Contains(r.third, "") // others' files kept here, as their modules are elsewhere
	case under(to, "pkg"):
		return slices.ContainsFunc(r.pkg, func(p string) bool { return p == "*" || under(to, "pkg/"+p) })
	case target == service:
		// Below its own room, and the rooms of the plan; never another domain, which is another root.
		return under(to, dir) || slices.Contains(r.own, kind)
	default:
		return false
	}
}

// clock: a domain gets its time and never asks for it.
func clock(t *tree) (wrong []string) {
	for _, f := range t.files {
		if _, kind := place(f.dir); kind != "domain" || f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(impureCalls, s.Sel.Name) {
				wrong = append(wrong, fmt.Sprintf("%s: a domain asks for time.%s", f.at(n), s.Sel.Name))
			}
			return true
		})
	}
	return wrong
}

// seams: what a simulator replaces, a service and its node are given; only timers are the runtime's.
func seams(t *tree) (wrong []string) {
	asked := map[string][]string{"time": {"Now", "Since", "Until"}, "id": {"Random", "New"}}
	for _, f := range t.files {
		_, kind := place(f.dir)
		given := kind != "" && kind != "domain" || under(f.dir, "pkg/node") || under(f.dir, "services/app")
		if f.test || !given {
			continue
		}
		for _, imported := range f.imports {
			if imported == "crypto/rand" || under(imported, "math/rand") {
				wrong = append(wrong, fmt.Sprintf("%s: has randomness of its own, %s", f.path, imported))
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && slices.Contains(asked[x.Name], s.Sel.Name) {
					wrong = append(wrong, fmt.Sprintf("%s: asks for %s.%s behind the seams", f.at(n), x.Name, s.Sel.Name))
				}
			}
			return true
		})
	}
	return wrong
}

// sameRooms: the four services have identical rooms, and nothing else is a service.
func sameRooms(t *tree) (wrong []string) {
	missing := func(p string) {
		if !t.paths[p] {
			wrong = append(wrong, p+": missing")
		}
	}
	for _, s := range services {
		dir := "services/" + s
		missing(dir + "/README.md")
		missing(dir + "/" + s + ".go")
		missing(dir + "/cmd/" + s + "/main.go")
		domains := map[string]int{}
		for _, f := range t.files {
			if _, kind := place(f.dir); kind == "domain" && under(f.dir, dir) && slices.Contains(domainFiles, path.Base(f.path)) {
				domains[f.dir]++
			}
		}
		for _, r := range rooms {
			if !slices.ContainsFunc(t.files, func(f *source) bool { return f.dir == dir+"/internal/"+r }) {
				wrong = append(wrong, fmt.Sprintf("%s/internal/%s: missing", dir, r))
			}
		}
		whole := false
		for _, n := range domains {
			whole = whole || n == len(domainFiles)
		}
		if !whole {
			wrong = append(wrong, fmt.Sprintf("%s: no domain with %s", dir, strings.Join(domainFiles, ", ")))
		}
	}
	for p := range t.paths {
		if part := strings.Split(p, "/"); len(part) == 2 && part[0] == "services" &&
			!slices.Contains(services, part[1]) && !slices.Contains(others, part[1]) {
			wrong = append(wrong, p+": no service of the plan")
		}
	}
	for _, f := range t.files {
		if service, kind := place(f.dir); kind == "cmd" && f.path != "services/"+service+"/cmd/"+service+"/main.go" && !f.test {
			wrong = append(wrong, f.path+": a service has one main in one file")
		}
	}
	return wrong
}

// noTesting: production code links no test support.
func noTesting(t *tree) (wrong []string) {
	for _, f := range t.files {
		if f.test {
			continue
		}
		for _, imported := range f.imports {
			to, our := ours(imported)
			if under(imported, "testing") || our && strings.HasSuffix(to, "test") {
				wrong = append(wrong, fmt.Sprintf("%s: production code imports %s", f.path, imported))
			}
		}
	}
	return wrong
}

// size: a file that does not fit in the head is split by verb.
func size(t *tree) (wrong []string) {
	for _, f := range t.files {
		most := maxFile
		if _, kind := place(f.dir); kind == "cmd" {
			most = maxMain
		}
		if f.lines > most {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines, at most %d", f.path, f.lines, most))
		}
	}
	return wrong
}

// skipped: what a test needs is there, or the test fails.
func skipped(t *tree) (wrong []string) {
	for _, f := range t.files {
		if !f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if ok && (x.Name == "t" || x.Name == "b" || x.Name == "tb" || x.Name == "f") &&
				(s.Sel.Name == "Skip" || s.Sel.Name == "Skipf" || s.Sel.Name == "SkipNow") ||
				ok && x.Name == "testing" && s.Sel.Name == "Short" {
				wrong = append(wrong, fmt.Sprintf("%s: %s.%s", f.at(n), x.Name, s.Sel.Name))
			}
			return true
		})
	}
	return wrong
}

// noDrawers: a package is named by one noun that says what is inside.
func noDrawers(t *tree) (wrong []string) {
	for _, f := range t.files {
		if name := strings.TrimSuffix(f.pkg, "_test"); slices.Contains(drawers, name) || slices.Contains(drawers, path.Base(f.dir)) {
			wrong = append(wrong, fmt.Sprintf("%s: package %s is a drawer", f.path, name))
		}
	}
	return wrong
}

// onlyObole: the embedded default is the newcomer's; production code that is not the obole command knows nothing of it.
func onlyObole(t *tree) (wrong []string) {
	for _, f := range t.files {
		if f.test || under(f.dir, "pkg/embedded") || under(f.dir, "services/obole") || under(f.dir, "scripts") {
			continue
		}
		for _, imported := range f.imports {
			if to, our := ours(imported); our && under(to, "pkg/embedded") {
				wrong = append(wrong, fmt.Sprintf("%s: imports %s", f.path, to))
			}
		}
	}
	return wrong
}
