package client

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/fault"
)

// Follow hands on what a stream tells until it ends or the command is told to stop. A call has a deadline of its own: when that
// has come the stream is opened again, and begins anew with how things stand.
func Follow[M any](ctx context.Context, open func() (grpc.ServerStreamingClient[M], error), each func(*M) error) error {
	for {
		stream, err := open()
		if err != nil {
			return err
		}
		for err == nil {
			var m *M
			if m, err = stream.Recv(); err != nil {
				break
			}
			if failed := each(m); failed != nil {
				return failed
			}
		}
		if Ended(ctx, err) {
			return nil
		}
		if !errors.Is(err, fault.KindDeadline) {
			return err
		}
	}
}
