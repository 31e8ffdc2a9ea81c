package boot_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// BenchmarkEcho compares a bare gRPC echo with the same behind everything, 64 callers each, in rounds that take turns;
// it reports the median of the ratios. One b.N is one call of each.
//
//	go test -run xxx -bench Echo -benchtime 200000x ./pkg/boot
func BenchmarkEcho(b *testing.B) {
	const rounds = 5
	bare := bareEcho(b)
	w := start(b, func(c *boot.Config, _ *echo) { c.Limits.Rate, c.Seams.Now, c.Seams.Log = 1<<30, nil, io.Discard })
	raw, err := w.issuer.Mint(ada, subscriber)
	must(b, err)
	plain, full := connect(b, bare), connect(b, w.srv.Addr())
	bearer := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+raw)
	n := max(b.N/rounds, callers)
	load(context.Background(), b, plain, n/4) // warm
	load(bearer, b, full, n/4)
	ratios := make([]float64, rounds)
	b.ResetTimer()
	for i := range ratios {
		slow := load(context.Background(), b, plain, n)
		ratios[i] = slow.Seconds() / load(bearer, b, full, n).Seconds()
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[rounds/2], "of-bare")
	b.ReportMetric(ratios[0], "lowest")
}

func bareEcho(b *testing.B) string {
	b.Helper()
	register()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	srv := grpc.NewServer()
	srv.RegisterService(echoDesc(), &echo{stream: repeat})
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	b.Cleanup(func() { srv.Stop(); <-ended })
	return l.Addr().String()
}

// connect is the plainest client, so that what differs is the server.
func connect(b *testing.B, addr string) []*grpc.ClientConn {
	b.Helper()
	conns := make([]*grpc.ClientConn, 4)
	for i := range conns {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(b, err)
		b.Cleanup(func() { check(b, conn.Close()) })
		conns[i] = conn
	}
	return conns
}

// callers call at once.
const callers = 64

// load makes n calls and says how long they took.
func load(ctx context.Context, b *testing.B, conns []*grpc.ClientConn, n int) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	errs := make([]error, callers)
	var all sync.WaitGroup
	began := time.Now()
	for i := range callers {
		all.Go(func() {
			var req proto.Message = &eventv1.Actor{Role: subscriber, Id: ada}
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = conns[i%len(conns)].Invoke(ctx, "/"+echoName+"/Say", req, &eventv1.Actor{})
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	must(b, errors.Join(errs...))
	return took
}

// BenchmarkGuard is what stands before a handler alone, without the network.
func BenchmarkGuard(b *testing.B) {
	w := start(b, func(c *boot.Config, _ *echo) { c.Limits.Rate, c.Seams.Now, c.Seams.Log = 1<<30, nil, io.Discard })
	raw, err := w.issuer.Mint(ada, subscriber)
	must(b, err)
	must(b, say(b, w.with(raw), "Say", ada))
	guard := boot.GuardOf(w.srv)
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer "+raw))
	info := &grpc.UnaryServerInfo{FullMethod: "/" + echoName + "/Say"}
	req := &eventv1.Actor{Role: subscriber, Id: ada}
	answer := func(_ context.Context, req any) (any, error) { return req, nil }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := guard(ctx, req, info, answer); err != nil {
			b.Fatal(err)
		}
	}
}
