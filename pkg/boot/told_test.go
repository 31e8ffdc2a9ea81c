package boot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/segmentio/kafka-go"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
)

const canary = "+32-470-CANARY"

// driver is a database's error that quotes a row.
var driver = &pgconn.PgError{
	Severity: "ERROR", Code: "22P02", Message: "invalid input syntax for type date: " + canary, Detail: "Key (phone)=(" + canary + ")",
	Where: canary, ConstraintName: "page_pkey",
}

// TestToldOfErrors: operators learn what they need, and no text of others, which may quote what it likes.
func TestToldOfErrors(t *testing.T) {
	t.Parallel()
	_, number := strconv.Atoi(canary)
	_, address := url.Parse(fmt.Sprint("http://[", canary))
	tooLong := json.Unmarshal([]byte(`"`+canary+`"`), new(int))
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9092}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		err  error
		want string
	}{
		{driver, "SQLSTATE 22P02 page_pkey"},
		{fmt.Errorf("bus: checkpoint: %w", driver), "bus: checkpoint: SQLSTATE 22P02 page_pkey"},
		{es.ErrUnavailable.Because(driver), "unavailable: the log is unavailable: SQLSTATE 22P02 page_pkey"},
		{fmt.Errorf("%w: root bid: %w", es.ErrData, fault.Refuse("MONEY", "no").And("phone", canary).Because(driver)), "internal: the log refused the data: root bid: refused: no [MONEY]: SQLSTATE 22P02 page_pkey"},
		{es.ErrIncarnation.And("partition", 3), "unavailable: the log lost its tail or moved to another server: run fsck --reconcile (partition: 3)"},
		{fmt.Errorf("%w: orders/3 position 7", bus.ErrChain), "bus: an event does not continue the chain: orders/3 position 7"},
		{refused, "dial tcp (private): *os.SyscallError: connection refused"},
		{fmt.Errorf("bus: topics of tables: %w", kafka.UnknownTopicOrPartition), "bus: topics of tables: " + kafka.UnknownTopicOrPartition.Error()},
		{status.Error(codes.NotFound, canary), "grpc NotFound"},
		{number, "*strconv.NumError: *errors.errorString"},
		{address, "*url.Error: *errors.errorString"},
		{tooLong, "*json.UnmarshalTypeError"},
		{fmt.Errorf("can't scan %q: %w", canary, driver), "SQLSTATE 22P02 page_pkey"},
		{fmt.Errorf("view: %w", fmt.Errorf("can't scan %q: %w", canary, pgx.ErrNoRows)), "view: *pgx.proxyError: *errors.errorString"},
		{errors.New(canary), "*errors.errorString"},
		{fmt.Errorf("wire: %w and %w", errors.New("a "+canary), errors.New(canary)), "wire: *errors.errorString and *errors.errorString"},
		{errors.Join(io.EOF, errors.New(canary)), "EOF: *errors.errorString"},
		{context.DeadlineExceeded, "context deadline exceeded"},
		{fmt.Errorf("bus: nothing: %w", errors.New("")), "bus: nothing: "},
		{quoting{driver}, "boot_test.quoting: SQLSTATE 22P02 page_pkey"},
		{nil, ""},
	} {
		got := boot.Told(c.err)
		if got != c.want {
			t.Errorf("%v\nis told as %q\nwant       %q", c.err, got, c.want)
		}
		if strings.Contains(got, canary) {
			t.Errorf("the canary is told: %s", got)
		}
	}
}

// quoting says more than what it wraps.
type quoting struct{ error }

func (q quoting) Error() string { return canary + q.error.Error() }
func (q quoting) Unwrap() error { return q.error }

// TestLogTakesErrorsNotTheirTexts: a careless line tells nothing.
func TestLogTakesErrorsNotTheirTexts(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, err := boot.NewLog(&boot.Config{Seams: boot.Seams{Log: &b}})
	must(t, err)
	log.Info("x", "error", driver, "reason", "MONEY")
	log.Info("x", "error", driver.Error(), "panic", canary)
	log.Info("x", "panic", fault.PanicOf(canary))
	log.Info("x", "stack", canary, "cause", canary)
	if strings.Contains(b.String(), "CANARY") || !strings.Contains(b.String(), `"error":"SQLSTATE 22P02 page_pkey","reason":"MONEY"`) ||
		!strings.Contains(b.String(), "boot_test.TestLogTakesErrorsNotTheirTexts told_test.go:") {
		t.Errorf("logged:\n%s", b.String())
	}
}

// TestSpansTellNothingOfErrors but that there were.
func TestSpansTellNothingOfErrors(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	tel, err := boot.Observe(&boot.Config{Service: "offers", Seams: boot.Seams{Log: io.Discard, Spans: kept}})
	must(t, err)
	_, span := tel.Tracer.Tracer("a driver").Start(t.Context(), "query")
	span.RecordError(driver)
	span.SetStatus(otelcodes.Error, driver.Error())
	span.End()
	got := kept.GetSpans()
	if len(got) != 1 || got[0].Status.Code != otelcodes.Error || strings.Contains(fmt.Sprintf("%+v", got), "CANARY") {
		t.Errorf("exported %+v", got)
	}
	must(t, tel.Close(t.Context()))
}
