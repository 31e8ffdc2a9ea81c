package boot

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Health says what of a service works, under names: "" and the service's name for whether it can do its work, and one
// for each part. Required parts decide the first two; others, such as the relay, stand for themselves: consent answers
// also when Kafka does not.
type Health struct {
	service string
	grpc    *health.Server
	mu      sync.Mutex
	needed  map[string]bool // required parts, and whether each works
	parts   map[string]bool
	closed  bool
}

// NewHealth begins with nothing working. Without required parts the service itself works from the start.
func NewHealth(service string, required ...string) *Health {
	h := &Health{service: service, grpc: health.NewServer(), needed: map[string]bool{}, parts: map[string]bool{}}
	for _, part := range required {
		h.needed[part] = false
		h.grpc.SetServingStatus(part, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	h.publish()
	return h
}

// Set says whether a part works.
func (h *Health) Set(part string, works bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.needed[part]; ok {
		h.needed[part] = works
	} else {
		h.parts[part] = works
	}
	h.grpc.SetServingStatus(part, serving(works && !h.closed))
	h.publish()
}

// Ready says whether all required parts work and the service is not stopping.
func (h *Health) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready()
}

// Stop says for good that nothing works any more, so that callers turn elsewhere while calls in flight end.
func (h *Health) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.grpc.Shutdown()
}

func (h *Health) ready() bool {
	for _, works := range h.needed {
		if !works {
			return false
		}
	}
	return !h.closed
}

func (h *Health) publish() {
	status := serving(h.ready())
	h.grpc.SetServingStatus("", status)
	h.grpc.SetServingStatus(h.service, status)
}

func serving(works bool) healthpb.HealthCheckResponse_ServingStatus {
	if works {
		return healthpb.HealthCheckResponse_SERVING
	}
	return healthpb.HealthCheckResponse_NOT_SERVING
}

// Part is something of a service that works or does not.
type Part struct {
	Name            string
	Works, Required bool
}

// Parts lists what is known of, by name.
func (h *Health) Parts() (out []Part) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, works := range h.needed {
		out = append(out, Part{name, works, true})
	}
	for name, works := range h.parts {
		out = append(out, Part{name, works, false})
	}
	slices.SortFunc(out, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// report is what /readyz answers.
func (h *Health) report() (ready bool, parts map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	parts = map[string]bool{}
	for part, works := range h.needed {
		parts[part] = works
	}
	for part, works := range h.parts {
		parts[part] = works
	}
	return h.ready(), parts
}

// Admin serves /metrics, /healthz (the process answers) and /readyz (the service can do its work).
func Admin(t *Telemetry, h *Health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		ready, parts := h.report()
		w.Header().Set("Content-Type", "application/json")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": ready, "parts": parts}) // the reader has gone, nobody to tell
	})
	return mux
}
