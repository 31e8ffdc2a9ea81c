package boot_test

import (
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/boot"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// TestMessagesOfAStreamAreCounted: each element of a message is a call to the rate. What is a little early is held back, what is far
// too early is refused and counts for nothing.
func TestMessagesOfAStreamAreCounted(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	frozen := time.Now()
	w := start(t, func(c *boot.Config, e *echo) {
		c.Seams.Now = func() time.Time { return frozen.Add(time.Duration(ahead.Load())) }
		e.stream = func(ss grpc.ServerStream) error {
			for {
				m := &eventv1.Access{}
				if err := ss.RecvMsg(m); err != nil {
					return ignoreEOF(err)
				}
				if err := ss.SendMsg(m); err != nil {
					return err
				}
			}
		}
	})
	send := func(ss grpc.ClientStream, elements int) (time.Duration, error) {
		began := time.Now()
		must(t, ss.SendMsg(&eventv1.Access{Roles: make([]eventv1.Role, elements)}))
		err := ss.RecvMsg(&eventv1.Access{})
		return time.Since(began), err
	}
	conn := w.as(ada, operator)
	ss := chat(t, conn, "Bulk") // which is the first of the 20 that a rate of 10 lets come at once
	_, err := send(ss, 19)
	must(t, err)
	took, err := send(ss, 3)
	must(t, err)
	if took < 300*time.Millisecond {
		t.Errorf("three more than may come at once, at 10 a second, were through after %v", took)
	}
	took, err = send(ss, 1000)
	wantRefusal(t, "a hundred seconds' worth", err, codes.ResourceExhausted, boot.ReasonRate)
	if again := retryAfter(err); again < 100*time.Second || took > 50*time.Second {
		t.Errorf("refused after %v, to come again in %v", took, again)
	}
	_, err = send(chat(t, w.as(bob, operator), "Bulk"), 19) // has a rate of its own
	must(t, err)
	_, err = send(chat(t, w.as("offers", service), "Bulk"), 2000) // and so have services
	must(t, err)
	ahead.Store(int64(time.Second))
	took, err = send(chat(t, conn, "Bulk"), 6) // of 10 there are 3 to pay off, and the stream
	must(t, err)
	if took > 10*time.Second {
		t.Errorf("what was refused was counted: %v", took)
	}
}

func retryAfter(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// TestRoleActedInOnAStream: who has several roles acts on each message in the one in which it may be sent.
func TestRoleActedInOnAStream(t *testing.T) {
	t.Parallel()
	got := make(chan boot.Caller, 1)
	w := start(t, func(c *boot.Config, e *echo) {
		c.Limits.Rate = -1
		e.stream = func(ss grpc.ServerStream) error {
			ctx := ss.Context() // before the first message, as handlers do
			for {
				m := &eventv1.Actor{}
				if err := ss.RecvMsg(m); err != nil {
					return ignoreEOF(err)
				}
				got <- boot.CallerFrom(ctx)
				if err := ss.SendMsg(m); err != nil {
					return err
				}
			}
		}
	})
	all := []eventv1.Role{subscriber, buyer, operator, service}
	for set := 1; set < 1<<len(all); set++ {
		var roles []eventv1.Role
		held := map[eventv1.Role]bool{}
		for i, r := range all {
			if set>>i&1 == 1 {
				roles, held[r] = append(roles, r), true
			}
		}
		for _, owners := range [][]string{{ada, bob, ada}, {bob, ada}} {
			ss := chat(t, w.as(ada, roles...), "Chat") // for subscribers themselves, and for operators
			for _, owner := range owners {
				var want eventv1.Role
				switch {
				case owner == ada && held[subscriber]:
					want = subscriber
				case held[operator]:
					want = operator
				}
				sent := ss.SendMsg(&eventv1.Actor{Id: owner})
				err := ss.RecvMsg(&eventv1.Actor{})
				if want == 0 {
					if status.Code(err) != codes.PermissionDenied {
						t.Errorf("%v, on %s: %v", roles, owner, err)
					}
					break
				}
				must(t, sent)
				must(t, err)
				if c := <-got; c.Role != want || c.Subject != ada || c.Actor().GetRole() != want {
					t.Errorf("%v, on %s: acts as %+v", roles, owner, c)
				}
			}
			must(t, ss.CloseSend())
		}
	}
}
