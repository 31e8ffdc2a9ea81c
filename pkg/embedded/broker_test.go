package embedded

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"
)

var topics = []Topic{{Name: "kept", Partitions: 2, Config: map[string]string{"retention.ms": "-1"}}}

func startBroker(t *testing.T, o BrokerOptions) *BrokerServer {
	t.Helper()
	b, err := Broker(timeout(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// tried is the last port that was looked at, beyond the beginning, which differs from process to process.
var tried atomic.Int64

// apart finds a free port below those that the system gives to whoever asks for any: nobody else takes it while a broker is away.
func apart(t *testing.T) int {
	t.Helper()
	for port := 0; port < 32_000; {
		port = 20_000 + os.Getpid()%5_000 + int(tried.Add(1))
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return 0
}

func produce(t *testing.T, addr string, partition int, value string) {
	t.Helper()
	conn, err := kafka.DialLeader(timeout(t), "tcp", addr, "kept", partition)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetRequiredAcks(-1); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(value)); err != nil {
		t.Fatal(err)
	}
}

func consume(t *testing.T, addr string, partition int) []string {
	t.Helper()
	conn, err := kafka.DialLeader(timeout(t), "tcp", addr, "kept", partition)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first, last, err := conn.ReadOffsets()
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for range last - first {
		m, err := conn.ReadMessage(1 << 16)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(m.Value))
	}
	return values
}

func TestBrokerKeepsItsRecords(t *testing.T) {
	t.Parallel()
	o := BrokerOptions{Dir: t.TempDir(), Topics: topics, Port: apart(t)}
	b, err := Broker(timeout(t), o)
	if err != nil {
		t.Fatal(err)
	}
	produce(t, b.Addr(), 1, "first")
	if _, err := Broker(timeout(t), o); !errors.Is(err, ErrInUse) {
		t.Errorf("second start: %v", err)
	}
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	b = startBroker(t, o)
	produce(t, b.Addr(), 1, "second")
	if got := consume(t, b.Addr(), 1); len(got) != 2 || got[0] != "first" || got[1] != "second" {
		t.Errorf("after the restart: %q", got)
	}
}

func TestBrokerSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, _, addr := runParent(t, dir)
	for i := range 100 {
		produce(t, addr, 0, strconv.Itoa(i))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed is what it was
	b := startBroker(t, BrokerOptions{Dir: filepath.Join(dir, "broker"), Topics: topics})
	if got := consume(t, b.Addr(), 0); len(got) != 100 || got[99] != "99" {
		t.Errorf("after kill -9: %d records, the last %q", len(got), got[len(got)-1])
	}
}

func TestBrokerRefusals(t *testing.T) {
	t.Parallel()
	t.Run("port in use", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addr, _ := l.Addr().(*net.TCPAddr)
		_, err = Broker(timeout(t), BrokerOptions{Dir: t.TempDir(), Port: addr.Port})
		if err == nil || !strings.Contains(err.Error(), addr.String()) {
			t.Errorf("got %v, want an error that names %s", err, addr)
		}
	})
	t.Run("other number of partitions", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b, err := Broker(timeout(t), BrokerOptions{Dir: dir, Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		_, err = Broker(timeout(t), BrokerOptions{Dir: dir, Topics: []Topic{{Name: "kept", Partitions: 3}}})
		if err == nil || !strings.Contains(err.Error(), "kept has 2 partitions, not 3") {
			t.Errorf("got %v", err)
		}
		startBroker(t, BrokerOptions{Dir: dir, Topics: topics}) // the folder was given back
	})
}

func TestBrokerUnreadableDataAreSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := BrokerOptions{Dir: dir, Topics: topics, Port: apart(t)}
	b, err := Broker(timeout(t), o)
	if err != nil {
		t.Fatal(err)
	}
	produce(t, b.Addr(), 0, "lost")
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "topics.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	b = startBroker(t, o)
	if got := consume(t, b.Addr(), 0); len(got) != 0 {
		t.Errorf("records out of nowhere: %q", got)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "data.*")); len(aside) != 1 {
		t.Errorf("set aside: %q", aside)
	}
}
