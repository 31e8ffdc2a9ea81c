package app_test

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/app"
)

// scale is a delivery service that weighs what comes, and how much memory this process holds meanwhile.
type scale struct {
	deliveryv1.UnimplementedDeliveryServiceServer

	refuse bool // after the first piece
	bytes  int
	most   uint64
}

func (s *scale) Import(from grpc.ClientStreamingServer[deliveryv1.ImportRequest, deliveryv1.ImportResponse]) error {
	for n := 0; ; n++ {
		r, err := from.Recv()
		if err == io.EOF { //nolint:errorlint // gRPC's own
			return from.SendAndClose(&deliveryv1.ImportResponse{FileSha256: []byte("weighed")})
		}
		if err != nil {
			return err
		}
		if s.bytes += len(r.GetChunk()); s.bytes > 0 && s.refuse {
			return grpcfault.Status(fault.New(fault.KindInvalid, "ROW_INVALID", "a row cannot be read", fault.Fact{Name: "line", Text: "1"})).Err()
		}
		if n%64 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			s.most = max(s.most, m.HeapAlloc)
		}
	}
}

func (s *scale) serve(t *testing.T) func(*app.Config) {
	t.Helper()
	l := listen(t)
	server := grpc.NewServer()
	deliveryv1.RegisterDeliveryServiceServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return func(c *app.Config) { c.Peers["delivery"] = l.Addr().String() }
}

// zeros is a file of so many bytes that nobody holds.
func zeros(n int64) io.Reader { return io.LimitReader(nothing{}, n) }

type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestFilesGoThroughWithFlatMemory, however large they are. It runs alone: it weighs the whole process.
func TestFilesGoThroughWithFlatMemory(t *testing.T) {
	s := new(scale)
	w := open(t, s.serve(t))
	b := w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 256 << 20
	a := b.Do(b.Request(http.MethodPost, "/import?source="+ada, zeros(size)))
	got := new(deliveryv1.ImportResponse)
	if err := protojson.Unmarshal([]byte(a.Body), got); err != nil || a.Status != http.StatusOK || string(got.GetFileSha256()) != "weighed" {
		t.Fatalf("%d %s, %v", a.Status, a.Body, err)
	}
	if s.bytes != size {
		t.Errorf("%d bytes came through, of %d", s.bytes, size)
	}
	if grown := int64(s.most) - int64(before.HeapAlloc); grown > 48<<20 {
		t.Errorf("memory grew by %d MiB for a file of %d", grown>>20, size>>20)
	}
	t.Logf("%d MiB in, at most %d MiB held", size>>20, s.most>>20)
}

// TestARefusalIsHeardWhileTheFileIsStillGoingUp: a browser that is still sending gets the answer and no broken connection.
func TestARefusalIsHeardWhileTheFileIsStillGoingUp(t *testing.T) {
	t.Parallel()
	s := &scale{refuse: true}
	w := open(t, s.serve(t))
	b := w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	a := b.Do(b.Request(http.MethodPost, "/import?source="+ada, zeros(16<<20)))
	if got := reason(t, a, http.StatusBadRequest); got != "ROW_INVALID" || !strings.Contains(a.Body, `"line"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
