package bus

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
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
)

// ErrForeign says that a record is not one of our relays'.
var ErrForeign = errors.New("bus: the record is not an event of ours")

// Received is an event as it came from a topic.
type Received struct {
	es.Record
	Incarnation es.Incarnation
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
	if len(b) < oursFixed+17 || b[0] != oursFormat {
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
	meta, err := es.DecodeMeta(b)
	if err != nil || r.Position < 1 || r.Version < 1 || r.Ordinal < 0 {
		return ErrForeign
	}
	r.Meta, r.ID = b, meta.ID
	return nil
}

// read makes an event of a record. ErrForeign says that it is none of ours; a marker is (nil error, marker true).
func read(rec *record, part es.Partition, r *Received) (marker bool, err error) {
	*r = Received{}
	var ours, typ, ceID []byte
	for _, h := range rec.headers {
		switch h.name {
		case headerOurs:
			ours = h.value
		case headerType:
			typ = h.value
		case headerID:
			ceID = h.value
		case headerMarker:
			return true, nil
		}
	}
	if ours == nil || len(typ) == 0 || len(rec.key) == 0 {
		return false, ErrForeign
	}
	if err := readOurs(ours, r); err != nil {
		return false, err
	}
	r.Partition, r.Stream, r.Type, r.Data = part, es.Stream(rec.key), string(typ), rec.value
	if v, err := id.Parse(ceID); err != nil || v != r.ID {
		return false, ErrForeign
	}
	return false, nil
}

type header struct {
	name  string
	value []byte
}

// record is one record of a batch as it stands on the topic.
type record struct {
	offset  int64
	key     []byte
	value   []byte
	headers []header
}
