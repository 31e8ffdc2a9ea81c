package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Names of headers. Nothing else is ever sent.
const (
	headerSpec   = "ce_specversion"
	headerID     = "ce_id"
	headerSource = "ce_source"
	headerType   = "ce_type"
	headerOurs   = "obole"
	// headerMarker is on a relay's own record, which is no event.
	headerMarker = "obole-marker"

	specVersion = "1.0"
)

// oursFormat is the first byte of our header, oursFixed its length before the meta.
const (
	oursFormat = 1
	oursFixed  = 1 + 16 + 8 + 8 + 16 + 4 + 8 + 32
	// metaLeast is the shortest es.Meta: format and id.
	metaLeast = 1 + 16
)

// ErrForeign says that a record is not one of our relays'.
var ErrForeign = errors.New("bus: the record is not an event of ours")

// Received is an event as it came from a topic.
type Received struct {
	es.Record
	Incarnation es.Incarnation
}

// Cursor is the event's place in the log of the service that wrote it, for who asks that service about it. It names no incarnation: what a
// log has lost comes back from the topic at the same place.
func (e *Received) Cursor(service string) *eventv1.Cursor {
	return &eventv1.Cursor{Service: service, Partition: int32(e.Partition), Position: int64(e.Position)}
}

// appendOurs appends our header's value: format, incarnation, position, version, command, ordinal, time (us), chain, meta.
func appendOurs(b []byte, inc es.Incarnation, r *es.Record) []byte {
	b = append(b, oursFormat)
	b = append(b, inc[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Position))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Version))
	b = append(b, r.Command[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Ordinal))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	b = append(b, r.Chain[:]...)
	return append(b, r.Meta...)
}

// readOurs is appendOurs' inverse. The record's meta is a part of b.
func readOurs(b []byte, r *Received) error {
	if len(b) < oursFixed+metaLeast || b[0] != oursFormat {
		return ErrForeign
	}
	b = b[1:]
	b = b[copy(r.Incarnation[:], b):]
	r.Position, b = es.Position(binary.BigEndian.Uint64(b)), b[8:]
	r.Version, b = es.Version(binary.BigEndian.Uint64(b)), b[8:]
	b = b[copy(r.Command[:], b):]
	r.Ordinal, b = int32(binary.BigEndian.Uint32(b)), b[4:]
	r.At, b = time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC(), b[8:]
	b = b[copy(r.Chain[:], b):]
	if r.Position < 1 || r.Version < 1 || r.Ordinal < 0 {
		return ErrForeign
	}
	r.Meta, r.ID = b, id.ID(b[1:metaLeast]) // where es.AppendMeta puts it
	return nil
}

// reader makes events of records, keeping one string of each type.
type reader struct {
	part  es.Partition
	types map[string]string
}

func newReader(part es.Partition) *reader { return &reader{part: part, types: make(map[string]string)} }

// event makes an event of a record, whose slices it shares. ErrForeign says that it is none of ours; a relay's marker is
// (true, nil).
func (t *reader) event(rec *record, r *Received) (marker bool, err error) {
	*r = Received{}
	var ours, typ, ceID []byte
	h := rec.headers()
	for {
		name, value, ok := h.next()
		if !ok {
			break
		}
		switch string(name) {
		case headerOurs:
			ours = value
		case headerType:
			typ = value
		case headerID:
			ceID = value
		case headerMarker:
			return true, nil
		}
	}
	if h.c.short || ours == nil || len(typ) == 0 || len(rec.key) == 0 {
		return false, ErrForeign
	}
	if err := readOurs(ours, r); err != nil {
		return false, err
	}
	var text [idText]byte
	if !bytes.Equal(appendID(text[:0], r.ID), ceID) {
		return false, ErrForeign
	}
	r.Partition, r.Stream, r.Type, r.Data = t.part, es.Stream(rec.key), t.name(typ), rec.value
	return false, nil
}

// maxTypes bounds how many strings of types are kept; a context has some dozens.
const maxTypes = 1024

func (t *reader) name(b []byte) string {
	if s, ok := t.types[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(t.types) < maxTypes {
		t.types[s] = s
	}
	return s
}
