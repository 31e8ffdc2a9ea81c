package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// edge is the plan of services/app: its rooms, which of each other they may import, and what of pkg. It has no database, no log and no
// keys, and decides nothing: what would tempt it to is not within reach.
var edge = map[string]room{
	"services/app/internal/reply":   {pkg: []string{"fault"}, third: []string{"connectrpc.com/connect/v2", grpc, "google.golang.org/genproto"}},
	"services/app/internal/session": {own: []string{"reply"}, pkg: []string{"boot", "fault", "token"}, third: []string{"golang.org/x/time"}},
	"services/app/internal/door":    {own: []string{"reply"}, pkg: []string{"boot", "fault", "lru"}, third: []string{"golang.org/x/time"}},
	"services/app/internal/site":    {},
	"services/app/internal/login": {
		own: []string{"reply", "session", "door"}, pkg: []string{"token"}, third: []string{"github.com/coreos/go-oidc", "golang.org/x/oauth2"},
	},
	"services/app/internal/notice": {own: []string{"reply", "door"}, pkg: []string{"catalog", "locale", "policy"}, third: []string{"golang.org/x/text"}},
	"services/app/internal/bridge": {
		own: []string{"reply", "session"}, pkg: []string{"boot", "fault", "token"}, gen: true, third: []string{"connectrpc.com/connect/v2", grpc, protobuf},
	},
	"services/app/internal/upload": {
		own: []string{"reply", "session", "bridge"}, pkg: []string{"boot", "fault"}, gen: true, third: []string{protobuf},
	},
	"services/app/web": {},
	"services/app": {
		own: []string{"session", "door", "site", "login", "notice", "bridge", "upload", "web"}, pkg: []string{"boot", "catalog", "policy", "token"}, gen: true,
		third: []string{"github.com/prometheus/client_golang", grpc},
	},
	"services/app/cmd/app": {own: []string{"services/app"}, pkg: []string{"boot"}},
}

// edgeRooms: what the edge's production code imports is in its plan.
func edgeRooms(t *tree) (wrong []string) {
	for _, f := range t.files {
		if !under(f.dir, "services/app") || f.test {
			continue
		}
		r, planned := edge[f.dir]
		if !planned {
			wrong = append(wrong, fmt.Sprintf("%s: stands outside the rooms of app", f.path))
			continue
		}
		for _, imported := range f.imports {
			if !r.edgeAllows(imported) {
				wrong = append(wrong, fmt.Sprintf("%s: %s imports %s", f.path, f.dir, imported))
			}
		}
	}
	return wrong
}

func (r room) edgeAllows(imported string) bool {
	to, our := ours(imported)
	switch {
	case standard(imported):
		return true
	case !our:
		return slices.ContainsFunc(r.third, func(prefix string) bool { return strings.HasPrefix(imported, prefix) })
	case under(to, "proto"):
		return r.gen || to == "proto/gen/obole/event/v1" // the roles
	case under(to, "pkg"):
		return slices.ContainsFunc(r.pkg, func(p string) bool { return under(to, "pkg/"+p) })
	default:
		name := strings.TrimPrefix(strings.TrimPrefix(to, "services/app/internal/"), "services/app/")
		return slices.Contains(r.own, name)
	}
}
