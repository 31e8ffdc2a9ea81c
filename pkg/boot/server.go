package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/token"
)

// Server is a gRPC server behind whose door every call is authenticated, authorised, limited, validated, measured and
// traced as the contract says. Register services on it as on a grpc.Server, then Serve:
//
//	srv, err := boot.NewServer(&cfg, tel, health)
//	consentv1.RegisterConsentServiceServer(srv, handlers)
//	group.Add("grpc", srv.Serve)
type Server struct {
	cfg      *Config
	guard    *guard
	health   *Health
	listener net.Listener
	options  []grpc.ServerOption
	services []service
	requests []protoreflect.MessageDescriptor
	largest  int
	err      error // of registering, which has no result
}

// streamWorkers serve calls one after the other; where all are busy a call gets a goroutine of its own.
const streamWorkers = 64

type service struct {
	desc *grpc.ServiceDesc
	impl any
}

// NewServer listens, so that an address in use is known at once; nobody is answered before Serve.
func NewServer(c *Config, t *Telemetry, h *Health) (*Server, error) {
	roots, err := Roots(c.TLS.CA)
	if err != nil {
		return nil, err
	}
	verifier, err := token.NewVerifier(token.Config{
		Issuer: c.Auth.Issuer, Audience: c.Audience(), RolesClaim: c.Auth.RolesClaim, Roots: roots, Now: c.Now, Size: c.Limits.Tokens,
	})
	if err != nil {
		return nil, fmt.Errorf("boot: auth: %w", err)
	}
	cert, err := c.TLS.server()
	if err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if cert != nil {
		creds = credentials.NewTLS(cert)
	}
	g, err := newGuard(c, t, verifier)
	if err != nil {
		return nil, err
	}
	l := c.Seams.Listener
	if l == nil {
		if l, err = net.Listen("tcp", or(c.Listen, "127.0.0.1:0")); err != nil {
			return nil, fmt.Errorf("boot: listen: %w", err)
		}
	}
	s := &Server{cfg: c, guard: g, health: h, listener: l, largest: defaultBytes}
	s.options = []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.UnaryInterceptor(s.guard.unary),
		grpc.StreamInterceptor(s.guard.stream),
		grpc.MaxConcurrentStreams(or(c.Limits.Streams, 1024)),
		grpc.MaxHeaderListSize(1 << 14),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 15 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		// A new goroutine grows its stack in steps, which costs a unary call a tenth of its time; these have grown theirs.
		grpc.NumStreamWorkers(streamWorkers),
	}
	healthpb.RegisterHealthServer(s, h.grpc)
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// RegisterService makes Server a grpc.ServiceRegistrar. The contract's access options are read here; what is wrong
// with them, Serve returns.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.services = append(s.services, service{desc, impl})
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(desc.ServiceName))
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		s.err = errors.Join(s.err, fmt.Errorf("boot: service %s has no descriptor", desc.ServiceName))
		return
	}
	for n := range sd.Methods().Len() {
		m, err := MethodOf(sd.Methods().Get(n))
		if err != nil {
			s.err = errors.Join(s.err, err)
			continue
		}
		s.guard.add(m, open(desc.ServiceName))
		s.requests = append(s.requests, m.Desc.Input())
		s.largest = max(s.largest, m.Bytes)
	}
	if n := len(desc.Methods) + len(desc.Streams); n != sd.Methods().Len() {
		s.err = errors.Join(s.err, fmt.Errorf("boot: service %s has %d methods, its descriptor %d", desc.ServiceName, n, sd.Methods().Len()))
	}
}

// open says whether a service answers without a token: those by which platforms and tools look at a server.
func open(name string) bool {
	return strings.HasPrefix(name, "grpc.health.v1.") || strings.HasPrefix(name, "grpc.reflection.")
}

// Serve answers until the context ends; then it tells health checks so, lets calls in flight end within limits.drain,
// and cuts off the rest. It is an actor of Group.
func (s *Server) Serve(ctx context.Context) error {
	defer s.listener.Close() //nolint:errcheck // closed twice where the server has run
	srv, err := s.build()
	if srv != nil {
		defer srv.Stop() // and its workers with it, however this ends
	}
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(s.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("boot: grpc: %w", err)
	case <-ctx.Done():
	}
	s.health.Stop()
	close(s.guard.stopping)
	cut := time.AfterFunc(or(s.cfg.Limits.Drain, 10*time.Second), srv.Stop)
	srv.GracefulStop()
	cut.Stop()
	s.guard.handlers.Wait()
	if err := <-ended; !errors.Is(err, grpc.ErrServerStopped) { // told to stop before it had begun
		return err
	}
	return nil
}

// build makes the server once all services are known.
func (s *Server) build() (*grpc.Server, error) {
	var err error
	// All rules are compiled now: no call waits for it, and a rule that does not compile stops the service.
	s.guard.validator, err = protovalidate.New(protovalidate.WithMessageDescriptors(s.requests...), protovalidate.WithDisableLazy())
	if err != nil {
		return nil, fmt.Errorf("boot: rules of the contract: %w", err)
	}
	// A message above its RPC's limit is refused with a reason; one above twice the largest is not read at all.
	srv := grpc.NewServer(append(s.options, grpc.MaxRecvMsgSize(2*s.largest))...)
	if s.cfg.Reflection {
		reflection.Register(reflected{s, srv})
	}
	for _, svc := range s.services {
		srv.RegisterService(svc.desc, svc.impl)
	}
	return srv, s.err
}

// reflected registers reflection behind the guard; it answers for what stands on the grpc.Server.
type reflected struct {
	grpc.ServiceRegistrar
	reflection.ServiceInfoProvider
}

// Close gives the address back where Serve is never called.
func (s *Server) Close() error { return s.listener.Close() }
