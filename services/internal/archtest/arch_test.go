package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// root is the folder of go.work.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.work above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// TestHouse holds the real tree to the plan.
func TestHouse(t *testing.T) {
	t.Parallel()
	house, err := load(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, wrong := range rules[name](house) {
				t.Error(wrong)
			}
		})
	}
}

// model is a small tree with everything where it belongs.
func model() fstest.MapFS {
	m := fstest.MapFS{}
	put := func(p, text string) { m[p] = &fstest.MapFile{Data: []byte(text)} }
	put("go.work", "")
	put("pkg/id/id.go", "package id\n")
	put("pkg/es/estest/estest.go", "package estest\nimport \"testing\"\nvar _ testing.TB\n")
	put("proto/gen/x.go", "package notparsed")
	put("services/internal/journey/journey_test.go", "package journey\nimport _ \""+module+"/services/offers\"\n")
	put("services/obole/main.go", "package main\nimport _ \""+module+"/services/offers\"\nimport _ \""+module+"/pkg/embedded\"\n")
	put("services/app/internal/reply/reply.go", "package reply\n")
	put("services/app/internal/session/session.go", "package session\nimport _ \""+module+"/services/app/internal/reply\"\n")
	for _, s := range services {
		dir := "services/" + s + "/"
		put(dir+"README.md", "")
		put(dir+s+".go", "package "+s+"\nimport _ \""+module+"/"+dir+"internal/rpc\"\n")
		put(dir+"cmd/"+s+"/main.go", "package main\nimport _ \""+module+"/services/"+s+"\"\n")
		for _, f := range domainFiles {
			put(dir+"internal/root/"+f, "package root\nimport _ \"time\"\nimport _ \""+module+"/pkg/id\"\n")
		}
		for _, r := range rooms {
			put(dir+"internal/"+r+"/doc.go", "package "+r+"\n")
		}
		put(dir+"internal/wire/event.go", "package wire\nimport _ \""+module+"/"+dir+"internal/root\"\n")
	}
	return m
}

func TestModelIsSound(t *testing.T) {
	t.Parallel()
	house, err := load(model())
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range rules {
		for _, wrong := range rule(house) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// TestPlantedViolations shows that each rule can fail: one file is planted in, or taken from, the sound model, and
// exactly the named rule says so.
func TestPlantedViolations(t *testing.T) {
	t.Parallel()
	imports := func(pkg string, paths ...string) string {
		return "package " + pkg + "\nimport _ \"" + strings.Join(paths, "\"\nimport _ \"") + "\"\n"
	}
	for _, c := range []struct{ name, rule, path, text, want string }{
		{"contract imports pkg", "arrow", "proto/x.go", imports("proto", module+"/pkg/id"), "the contract imports pkg/id"},
		{"pkg imports a service", "arrow", "pkg/id/x.go", imports("id", module+"/services/offers"), "pkg imports services/offers"},
		{
			"a test of a service imports another", "arrow", "services/offers/internal/rpc/x_test.go",
			imports("rpc", module+"/services/consent"), "service offers imports services/consent",
		},
		{"a domain imports context", "rooms", "services/offers/internal/root/x.go", imports("root", "context"), "domain imports context"},
		{"a domain imports rand", "rooms", "services/offers/internal/root/x.go", imports("root", "math/rand/v2"), "domain imports math/rand/v2"},
		{"a domain imports the contract", "rooms", "services/offers/internal/root/x.go", imports("root", module+"/proto/gen/x"), "domain imports"},
		{
			"a domain imports another", "rooms", "services/offers/internal/root/x.go",
			imports("root", module+"/services/offers/internal/other"), "domain imports",
		},
		{"wire imports pgx", "rooms", "services/offers/internal/wire/x.go", imports("wire", pgx+"/v5"), "wire imports " + pgx},
		{"view imports grpc", "rooms", "services/offers/internal/view/x.go", imports("view", grpc), "view imports " + grpc},
		{"view imports rpc", "rooms", "services/offers/internal/view/x.go", imports("view", module+"/services/offers/internal/rpc"), "view imports"},
		{"rpc imports pgx", "rooms", "services/offers/internal/rpc/x.go", imports("rpc", pgx+"/v5"), "rpc imports " + pgx},
		{"rpc imports react", "rooms", "services/offers/internal/rpc/x.go", imports("rpc", module+"/services/offers/internal/react"), "rpc imports"},
		{"react imports grpc", "rooms", "services/offers/internal/react/x.go", imports("react", grpc), "react imports " + grpc},
		{"face imports kafka", "rooms", "services/offers/x.go", imports("offers", kafka), "face imports " + kafka},
		{"cmd imports a room", "rooms", "services/offers/cmd/offers/main.go", imports("main", module+"/services/offers/internal/rpc"), "cmd imports"},
		{"code outside the rooms", "rooms", "services/offers/extra/x.go", "package extra\n", "stands outside"},
		{
			"a domain asks the time", "clock", "services/offers/internal/root/x.go",
			"package root\nimport \"time\"\nvar t = time.Now()\n", "x.go:3: a domain asks for time.Now",
		},
		{
			"a face asks the time", "seams", "services/offers/x.go",
			"package offers\nimport \"time\"\nvar t = time.Now()\n", "x.go:3: asks for time.Now behind the seams",
		},
		{
			"a handler makes an id", "seams", "services/offers/internal/rpc/x.go",
			"package rpc\nimport \"" + module + "/pkg/id\"\nvar i = id.Random()\n", "x.go:3: asks for id.Random behind the seams",
		},
		{"the node has randomness of its own", "seams", "pkg/node/x.go", imports("node", "crypto/rand"), "has randomness of its own, crypto/rand"},
		{"no README", "same", "services/offers/README.md", "", "services/offers/README.md: missing"},
		{"no face", "same", "services/consent/consent.go", "", "services/consent/consent.go: missing"},
		{"no main", "same", "services/delivery/cmd/delivery/main.go", "", "main.go: missing"},
		{"no room", "same", "services/settlement/internal/react/doc.go", "", "services/settlement/internal/react: missing"},
		{"half a domain", "same", "services/offers/internal/root/evolve.go", "", "services/offers: no domain with"},
		{"a fifth service", "same", "services/extra/extra.go", "package extra\n", "services/extra: no service"},
		{"a second main", "same", "services/offers/cmd/offers/more.go", "package main\n", "one main"},
		{"production imports testing", "testing", "pkg/id/x.go", imports("id", "testing"), "production code imports testing"},
		{"production imports test support", "testing", "pkg/id/x.go", imports("id", module+"/pkg/es/estest"), "production code imports"},
		{"a long file", "size", "pkg/id/x.go", "package id\n" + strings.Repeat("\n", maxFile), "601 lines, at most 600"},
		{"a long main", "size", "services/offers/cmd/offers/main.go", "package main\n" + strings.Repeat("\n", maxMain), "151 lines, at most 150"},
		{
			"a skipped test", "skipped", "pkg/id/x_test.go",
			"package id\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }\n", "x_test.go:3: t.Skip",
		},
		{"a short run", "skipped", "pkg/id/x_test.go", "package id\nimport \"testing\"\nvar s = testing.Short()\n", "testing.Short"},
		{"a drawer", "drawers", "pkg/util/x.go", "package util\n", "package util is a drawer"},
		{"a drawer under another name", "drawers", "pkg/common/x.go", "package fine\n", "is a drawer"},
		{"the edge reaches for a log", "edge", "services/app/internal/session/x.go", imports("session", module+"/pkg/es"), "imports " + module + "/pkg/es"},
		{"the edge imports a service", "edge", "services/app/x.go", imports("app", module+"/services/offers"), "imports " + module + "/services/offers"},
		{"the edge's arrow turned round", "edge", "services/app/internal/reply/x.go", imports("reply", module+"/services/app/internal/session"), "internal/session"},
		{"the edge has a database", "edge", "services/app/internal/session/x.go", imports("session", pgx+"/v5"), "imports " + pgx},
		{"a room that the edge does not have", "edge", "services/app/internal/extra/x.go", "package extra\n", "stands outside the rooms of app"},
		{"the edge has randomness of its own", "seams", "services/app/internal/session/x.go", imports("session", "crypto/rand"), "crypto/rand"},
		{"a service knows the embedded default", "embedded", "services/offers/x.go", imports("offers", module+"/pkg/embedded"), "imports pkg/embedded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := model()
			if c.text == "" {
				delete(m, c.path)
			} else {
				m[c.path] = &fstest.MapFile{Data: []byte(c.text)}
			}
			house, err := load(m)
			if err != nil {
				t.Fatal(err)
			}
			for name, rule := range rules {
				wrong := rule(house)
				if name != c.rule {
					if len(wrong) > 0 {
						t.Errorf("%s complains too: %q", name, wrong)
					}
					continue
				}
				if len(wrong) != 1 || !strings.Contains(wrong[0], c.want) {
					t.Errorf("%s says %q, want one with %q", name, wrong, c.want)
				}
			}
		})
	}
}
