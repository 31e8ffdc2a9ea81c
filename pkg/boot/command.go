package boot

import (
	"context"
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// Command names a command after what asks for it: the caller, for whom it calls, the method (a name of the service's
// own, the same for a unary call and for the streamed form of it) and the idempotency key that the caller chose. The
// hash tells an honest repeat from another request under the same key. Both are what es.Command wants.
func Command(ctx context.Context, method, key string, req proto.Message) (id.ID, [sha256.Size]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return id.ID{}, [sha256.Size]byte{}, fmt.Errorf("boot: hash of %s: %w", req.ProtoReflect().Descriptor().FullName(), err)
	}
	return es.CommandID(CallerFrom(ctx).key(), method, key), sha256.Sum256(b), nil
}

// key tells callers apart; whom a service calls for is part of it, since that person chose the idempotency key.
func (c Caller) key() string {
	if c.For == nil {
		return c.Subject
	}
	return c.Subject + " " + c.principal()
}
