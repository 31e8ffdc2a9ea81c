package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/obole-market/obole/pkg/boot"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/app/internal/notice"
	"github.com/obole-market/obole/services/app/internal/site"
	"github.com/obole-market/obole/services/app/internal/upload"
	"github.com/obole-market/obole/services/app/web"
)

// routes is everything that the edge serves; README.md has the same list for those who call it.
func (e *edge) routes(t *boot.Telemetry) (http.Handler, error) {
	page, err := site.Open(web.Dist(), notice.Choose)
	if err != nil {
		return nil, err
	}
	rpcs, rpc, err := e.bridge()
	if err != nil {
		return nil, err
	}
	files := &upload.Upload{Delivery: deliveryv1.NewDeliveryServiceClient(e.conns["delivery"]), Most: e.Import.Bytes}
	signed := func(h http.Handler) http.Handler { return e.sessions.Require(e.jar, h) }

	mux := http.NewServeMux()
	mux.Handle("/", page) // it says itself that it only answers GET
	mux.Handle("GET /login", e.door.Login(http.HandlerFunc(e.login.Begin)))
	mux.Handle("GET /login/done", e.door.Login(http.HandlerFunc(e.login.Done)))
	mux.HandleFunc("POST /logout", e.login.Out) // also when the session is over: what the page has stored is to go
	mux.HandleFunc("GET /api/config", e.notice.Config)
	mux.HandleFunc("GET /api/privacy", e.notice.Privacy)
	mux.HandleFunc("GET /.well-known/gpc.json", e.notice.GPC)
	mux.HandleFunc("GET /api/session", e.login.Session)
	mux.Handle("GET /api/me", signed(http.HandlerFunc(e.login.Me)))
	mux.Handle("GET /api/health", signed(http.HandlerFunc(rpcs.Health)))
	mux.Handle("POST /import", signed(files))
	mux.Handle("/rpc/", signed(rpc))
	counted, err := counted(t, e, mux)
	if err != nil {
		return nil, err
	}
	return e.door.Before(counted), nil
}

// counted measures requests by their route, which names nobody.
func counted(t *boot.Telemetry, e *edge, mux *http.ServeMux) (http.Handler, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "obole_http_seconds", Help: "Time from a request to the end of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
	}, []string{"route", "status"})
	if err := t.Registry.Register(seconds); err != nil {
		return nil, fmt.Errorf("app: metrics: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, told := e.Now(), &told{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				if err, is := p.(error); !is || !errors.Is(err, http.ErrAbortHandler) {
					e.log.ErrorContext(r.Context(), "panic", "method", r.Pattern)
				}
				panic(http.ErrAbortHandler) // the connection is cut: half an answer must not look whole
			}
			seconds.WithLabelValues(r.Pattern, strconv.Itoa(told.status)).Observe(e.Now().Sub(began).Seconds())
		}()
		mux.ServeHTTP(told, r)
	}), nil
}

// told remembers the status of an answer.
type told struct {
	http.ResponseWriter
	status int
}

func (t *told) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Flush and Unwrap let streams through.
func (t *told) Flush() {
	_ = http.NewResponseController(t.ResponseWriter).Flush() // a writer that cannot has nothing to flush
}

// Unwrap is for http.ResponseController.
func (t *told) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// serve is the actor that answers browsers. When it is told to stop, streams are sent away and short answers end within limits.drain.
func (e *edge) serve(l net.Listener, h http.Handler, stopping func()) func(context.Context) error {
	return func(ctx context.Context) error {
		srv := &http.Server{
			Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 1 << 14, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		}
		ended := make(chan error, 1)
		go func() {
			if e.TLS.Cert != "" {
				ended <- srv.ServeTLS(l, e.TLS.Cert, e.TLS.Key)
			} else {
				ended <- srv.Serve(l)
			}
		}()
		select {
		case err := <-ended:
			return fmt.Errorf("app: %w", err)
		case <-ctx.Done():
		}
		stopping()
		limit := e.Limits.Drain
		if limit == 0 {
			limit = 10 * time.Second
		}
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		err := srv.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close()
		}
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
}
