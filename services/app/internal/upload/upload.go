// Package upload takes a file that somebody dropped on the page into delivery's Import: a browser cannot stream a request of an RPC, but
// it can send a file. The bytes go through as they come; nobody holds them all.
package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/app/internal/bridge"
	"github.com/obole-market/obole/services/app/internal/reply"
	"github.com/obole-market/obole/services/app/internal/session"
)

// Upload serves /import; Require of session stands before it.
type Upload struct {
	Delivery deliveryv1.DeliveryServiceClient
	// Most is the largest file in bytes.
	Most int64
}

const (
	piece   = 64 << 10         // of a file in one message
	silence = 30 * time.Second // after which a browser that sends nothing is cut off
	// A browser that is still sending hears the answer once it has sent all. So much of the rest is read for that, and thrown away.
	rest = 64 << 20
)

var errRole = fault.Denied(boot.ReasonRoleDenied, "only a subscriber brings measurements")

// ServeHTTP takes one file.
func (u *Upload) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := u.take(w, r)
	if err != nil {
		reply.Refuse(w, r, err)
		return
	}
	b, err := protojson.Marshal(answer)
	if err != nil {
		reply.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the reader has gone, nobody to tell
}

func (u *Upload) take(w http.ResponseWriter, r *http.Request) (*deliveryv1.ImportResponse, error) {
	s := session.Of(r.Context())
	if !s.Roles.Has(eventv1.Role_ROLE_SUBSCRIBER) {
		return nil, errRole
	}
	header, err := headerOf(s.Subject, r.URL.Query())
	if err != nil {
		return nil, err
	}
	if r.ContentLength > u.Most {
		return nil, u.large()
	}
	give, err := s.Upload()
	if err != nil {
		return nil, err
	}
	defer give()
	// The limits of time that are for short requests do not fit; silence is measured instead.
	at := http.NewResponseController(w)
	_ = at.SetWriteDeadline(time.Time{}) // a writer without deadlines has none to lift
	_ = at.SetReadDeadline(time.Time{})
	watch := time.AfterFunc(silence, func() { _ = at.SetReadDeadline(time.Unix(1, 0)) })
	defer watch.Stop()
	body := io.LimitReader(&moving{r.Body, watch}, u.Most+1)

	// Ended before the stream is closed, delivery keeps nothing: a file that broke off is never taken for a whole one.
	ctx, cancel := context.WithCancel(bridge.As(r.Context(), s))
	defer cancel()
	stop := context.AfterFunc(s.Context(), cancel)
	defer stop()
	answer, err := u.send(ctx, header, body)
	if err != nil {
		_, _ = io.CopyN(io.Discard, body, rest) // whatever comes of it, the answer is known
	}
	return answer, err
}

func (u *Upload) send(ctx context.Context, header *deliveryv1.ImportHeader, body io.Reader) (*deliveryv1.ImportResponse, error) {
	to, err := u.Delivery.Import(ctx)
	if err != nil {
		return nil, bridge.Failed("delivery", err, nil, nil)
	}
	err = to.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Header{Header: header}})
	buffer, sent := make([]byte, piece), int64(0)
	for err == nil {
		var n int
		n, err = io.ReadFull(body, buffer)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fault.Unavailable("the file broke off on its way; nothing of it is kept").Because(err)
		}
		if sent += int64(n); sent > u.Most {
			return nil, u.large()
		}
		if n > 0 {
			// Sent before the buffer is filled again: gRPC has serialised it by then.
			if failed := to.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Chunk{Chunk: buffer[:n]}}); failed != nil {
				err = failed
			}
		}
	}
	// io.EOF is the file's end, or delivery's early answer, which it gives now.
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, bridge.Failed("delivery", err, nil, nil)
	}
	answer, err := to.CloseAndRecv()
	if err != nil {
		head, _ := to.Header() // it fails as the stream has
		return nil, bridge.Failed("delivery", err, head, to.Trailer())
	}
	return answer, nil
}

func (u *Upload) large() error {
	return fault.Exhausted(boot.ReasonTooLarge, "the file is too large").And("max_bytes", u.Most)
}

// moving is a body that is watched for silence.
type moving struct {
	io.Reader
	watch *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if err == nil {
		m.watch.Reset(silence)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // the browser went away: not the end of the file
		err = errBroken
	}
	return n, err
}

var errBroken = errors.New("upload: the body ends before its length")

// headerOf reads the query. What is no parameter is refused: a misspelt zone must not become another time of day.
func headerOf(subject string, q url.Values) (*deliveryv1.ImportHeader, error) {
	h := &deliveryv1.ImportHeader{SubscriberId: subject}
	days := new(marketv1.Days)
	// What somebody drops on the page is their own copy; all of one importer's files come from one source.
	brings := &deliveryv1.NewSource{Route: deliveryv1.Route_ROUTE_GDPR_20}
	to := map[string]*string{"source": &h.SourceId, "importer": &brings.Importer, "name": &h.FileName, "zone": &h.Zone, "person": &h.Person, "first": &days.First, "last": &days.Last}
	for name, values := range q {
		if to[name] == nil {
			return nil, fault.Invalid(name, "is no parameter of an import")
		}
		if len(values) != 1 {
			return nil, fault.Invalid(name, fmt.Sprintf("stands %d times", len(values)))
		}
		*to[name] = values[0]
	}
	if brings.Importer != "" {
		brings.IdempotencyKey = "import " + brings.Importer
		h.Connect = brings
	}
	if days.First != "" || days.Last != "" {
		h.Days = days
	}
	return h, nil
}
