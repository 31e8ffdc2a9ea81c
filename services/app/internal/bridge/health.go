package bridge

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/app/internal/reply"
	"github.com/obole-market/obole/services/app/internal/session"
)

// Of a service: whether it answers, and what it says of its parts.
type state struct {
	Name      string            `json:"name"`
	Reachable bool              `json:"reachable"`
	Parts     map[string]string `json:"parts,omitempty"` // by part: SERVING or NOT_SERVING
}

var (
	watchers = token.RolesOf(eventv1.Role_ROLE_OPERATOR, eventv1.Role_ROLE_AUDITOR)
	errWatch = fault.Denied(boot.ReasonRoleDenied, "no role of the caller's may see this")
)

// patience is how long a service may take to say how it is.
const patience = 2 * time.Second

// Health tells the operator what of each service works.
func (b *Bridge) Health(w http.ResponseWriter, r *http.Request) {
	if session.Of(r.Context()).Roles&watchers == 0 {
		reply.Refuse(w, r, errWatch)
		return
	}
	names := slices.Sorted(maps.Keys(b.Conns))
	all := make([]state, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			defer cancel()
			all[i].Name = name
			list, err := healthpb.NewHealthClient(b.Conns[name]).List(ctx, &healthpb.HealthListRequest{})
			if err != nil {
				return // not reachable, which is what there is to say
			}
			all[i].Reachable, all[i].Parts = true, map[string]string{}
			for part, is := range list.GetStatuses() {
				if part != "" { // the whole stands under the service's own name too
					all[i].Parts[part] = is.GetStatus().String()
				}
			}
		})
	}
	wait.Wait()
	reply.JSON(w, map[string]any{"services": all})
}
