package bus

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/obole-market/obole/pkg/es"
)

// Places in a record batch of Kafka's format version 2, counted after the size that precedes it in a request.
const (
	sizeBytes   = 4
	atLength    = 8
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

// batch encodes records straight into one buffer that is used again and again.
type batch struct {
	buf    []byte // size, head, records
	room   []byte // one record's body
	ours   []byte
	source string
	count  int32
	first  int64 // ms
	last   int64
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
	b.begin(r.At, string(r.Stream), r.Data, 5)
	b.header(headerSpec, specVersion)
	b.room = appendVarint(b.room, int64(len(headerID)))
	b.room = append(b.room, headerID...)
	b.room = appendVarint(b.room, 36)
	text, _ := r.ID.MarshalText()
	b.room = append(b.room, text...)
	b.header(headerSource, b.source)
	b.header(headerType, r.Type)
	b.ours = appendOurs(b.ours[:0], inc, r)
	b.room = appendVarint(b.room, int64(len(headerOurs)))
	b.room = append(b.room, headerOurs...)
	b.room = appendVarint(b.room, int64(len(b.ours)))
	b.room = append(b.room, b.ours...)
	b.end()
}

// marker adds the record by which a relay finds out where it stands.
func (b *batch) marker(now time.Time, name string) {
	b.begin(now, "", nil, 1)
	b.header(headerMarker, name)
	b.end()
}

func (b *batch) begin(at time.Time, key string, value []byte, headers int) {
	ms := at.UnixMilli()
	if b.count == 0 {
		b.first = ms
	}
	b.last = max(b.last, ms)
	b.room = append(b.room[:0], 0) // attributes
	b.room = appendVarint(b.room, ms-b.first)
	b.room = appendVarint(b.room, int64(b.count))
	b.room = appendVarint(b.room, int64(len(key)))
	b.room = append(b.room, key...)
	b.room = appendVarint(b.room, int64(len(value)))
	b.room = append(b.room, value...)
	b.room = appendVarint(b.room, int64(headers))
}

func (b *batch) header(name, value string) {
	b.room = appendVarint(b.room, int64(len(name)))
	b.room = append(b.room, name...)
	b.room = appendVarint(b.room, int64(len(value)))
	b.room = append(b.room, value...)
}

func (b *batch) end() {
	b.buf = appendVarint(b.buf, int64(len(b.room)))
	b.buf = append(b.buf, b.room...)
	b.count++
}

// seal fills in the head and gives the bytes as a produce request carries them.
func (b *batch) seal(producer int64, epoch int16, sequence int32) []byte {
	binary.BigEndian.PutUint32(b.buf, uint32(len(b.buf)-sizeBytes))
	h := b.buf[sizeBytes:]
	binary.BigEndian.PutUint32(h[atLength:], uint32(len(h)-atLength-4))
	binary.BigEndian.PutUint32(h[12:], ^uint32(0)) // leader epoch unknown
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

// appendVarint appends Kafka's zigzag varint, which is Go's.
func appendVarint(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }
