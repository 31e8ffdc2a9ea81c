package bus

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/bits"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// Places in a record batch of Kafka's format version 2, counted after the size that precedes it in a request.
const (
	sizeBytes   = 4
	atLength    = 8
	atLeader    = 12
	atMagic     = 16
	atCRC       = 17
	atAttribute = 21
	atLast      = 23
	atFirstTime = 27
	atMaxTime   = 35
	atProducer  = 43
	atEpoch     = 51
	atSequence  = 53
	atCount     = 57
	batchHead   = 61
)

// maxBatch is about how large a batch becomes: below the broker's default limit of 1 MiB.
const maxBatch = 900 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch encodes records straight into one buffer that is used again and again. A record's length stands before it, so it
// is reckoned first.
type batch struct {
	buf    []byte // size, head, records
	source string
	fixed  int // bytes of an event's headers but for type and our own value
	count  int32
	first  int64 // ms
	last   int64
}

const idText = 36 // bytes of an id's text

func newBatch(source string) *batch {
	fixed := 0
	for _, text := range []string{headerSpec, specVersion, headerID, headerSource, source, headerType, headerOurs} {
		fixed += varintSize(int64(len(text))) + len(text)
	}
	return &batch{source: source, fixed: fixed + varintSize(idText) + idText}
}

func (b *batch) reset() {
	if cap(b.buf) == 0 {
		b.buf = make([]byte, 0, maxBatch+(64<<10))
	}
	b.buf = b.buf[:sizeBytes+batchHead]
	clear(b.buf)
	b.count, b.first, b.last = 0, 0, 0
}

// fits says whether a record still has its place in the batch.
func (b *batch) fits(r *es.Record) bool {
	return b.count == 0 || len(b.buf)+len(r.Data)+len(r.Meta)+512 < maxBatch
}

// event adds an event.
func (b *batch) event(inc es.Incarnation, r *es.Record) {
	ours := oursFixed + len(r.Meta)
	b.begin(r.At.UnixMilli(), string(r.Stream), r.Data, 5,
		b.fixed+varintSize(int64(len(r.Type)))+len(r.Type)+varintSize(int64(ours))+ours)
	b.text(headerSpec)
	b.text(specVersion)
	b.text(headerID)
	b.varint(idText)
	b.buf = appendID(b.buf, r.ID)
	b.text(headerSource)
	b.text(b.source)
	b.text(headerType)
	b.text(r.Type)
	b.text(headerOurs)
	b.varint(int64(ours))
	b.buf = appendOurs(b.buf, inc, r)
}

// marker adds the record by which a relay finds out where it stands.
func (b *batch) marker(now time.Time, name string) {
	b.begin(now.UnixMilli(), "", nil, 1,
		varintSize(int64(len(headerMarker)))+len(headerMarker)+varintSize(int64(len(name)))+len(name))
	b.text(headerMarker)
	b.text(name)
}

// begin adds a record up to its headers, which follow with so many bytes.
func (b *batch) begin(ms int64, key string, value []byte, headers, headerBytes int) {
	if b.count == 0 {
		b.first = ms
	}
	b.last = max(b.last, ms)
	b.varint(int64(1 + varintSize(ms-b.first) + varintSize(int64(b.count)) + varintSize(int64(len(key))) + len(key) +
		varintSize(int64(len(value))) + len(value) + varintSize(int64(headers)) + headerBytes))
	b.buf = append(b.buf, 0) // attributes
	b.varint(ms - b.first)
	b.varint(int64(b.count))
	b.text(key)
	b.varint(int64(len(value)))
	b.buf = append(b.buf, value...)
	b.varint(int64(headers))
	b.count++
}

func (b *batch) text(s string) {
	b.varint(int64(len(s)))
	b.buf = append(b.buf, s...)
}

// varint adds Kafka's zigzag varint, which is Go's.
func (b *batch) varint(v int64) {
	if v >= 0 && v < 64 {
		b.buf = append(b.buf, byte(v<<1))
		return
	}
	b.buf = binary.AppendVarint(b.buf, v)
}

// varintSize is how many bytes varint adds.
func varintSize(v int64) int {
	return (bits.Len64(uint64(v)<<1^uint64(v>>63)|1) + 6) / 7
}

func appendID(b []byte, v id.ID) []byte {
	b = append(hex.AppendEncode(b, v[:4]), '-')
	b = append(hex.AppendEncode(b, v[4:6]), '-')
	b = append(hex.AppendEncode(b, v[6:8]), '-')
	b = append(hex.AppendEncode(b, v[8:10]), '-')
	return hex.AppendEncode(b, v[10:])
}

// seal fills in the head and gives the bytes as a produce request carries them.
func (b *batch) seal(producer int64, epoch int16, sequence int32) []byte {
	binary.BigEndian.PutUint32(b.buf, uint32(len(b.buf)-sizeBytes))
	h := b.buf[sizeBytes:]
	binary.BigEndian.PutUint32(h[atLength:], uint32(len(h)-atLength-4))
	binary.BigEndian.PutUint32(h[atLeader:], ^uint32(0)) // leader epoch unknown
	h[atMagic] = 2
	binary.BigEndian.PutUint32(h[atLast:], uint32(b.count-1))
	binary.BigEndian.PutUint64(h[atFirstTime:], uint64(b.first))
	binary.BigEndian.PutUint64(h[atMaxTime:], uint64(b.last))
	binary.BigEndian.PutUint64(h[atProducer:], uint64(producer))
	binary.BigEndian.PutUint16(h[atEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(h[atSequence:], uint32(sequence))
	binary.BigEndian.PutUint32(h[atCount:], uint32(b.count))
	binary.BigEndian.PutUint32(h[atCRC:], crc32.Checksum(h[atAttribute:], castagnoli))
	return b.buf
}
