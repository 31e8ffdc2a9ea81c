// Package reply says to a browser what went wrong, in the form in which it asked: Connect, gRPC-Web, or for everything else
// Connect's JSON. Code, message and details are those of the service behind; what a library says of a broken connection is not passed on.
package reply

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/fault/grpcfault"
)

var writer = connecthttp.NewErrorWriter()

// Error is an error as the page gets it: one of Connect's own as it is, a service's status with its details, a fault as
// grpcfault classifies it.
func Error(err error) *connect.Error {
	var own *connect.Error
	if errors.As(err, &own) {
		return own
	}
	var from interface{ GRPCStatus() *status.Status }
	if errors.As(err, &from) {
		return convert(from.GRPCStatus())
	}
	return convert(grpcfault.Status(grpcfault.Classify(err)))
}

func convert(s *status.Status) *connect.Error {
	e := connect.NewError(connect.Code(s.Code()), s.Message())
	for _, d := range s.Proto().GetDetails() {
		if detail, err := connectproto.NewErrorDetail(d); err == nil { // of a type that nobody here knows: code and message stay
			e = e.WithDetail(detail)
		}
	}
	return e
}

// Refuse answers a request with an error, and with how long to wait where the error says so.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := Error(err)
	if after := retry(e); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	w.Header().Set("Cache-Control", "no-store")
	_ = writer.Write(w, r, e) // the reader has gone, nobody to tell
}

// retry is how long to wait, 0 where nothing says so.
func retry(e *connect.Error) time.Duration {
	for _, d := range e.Details() {
		m, err := connectproto.UnmarshalErrorDetail(d)
		if info, ok := m.(*errdetails.RetryInfo); ok && err == nil {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// JSON answers with a value that nobody may keep.
func JSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	_ = json.NewEncoder(w).Encode(value) // the reader has gone, nobody to tell
}
