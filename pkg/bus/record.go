package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go/compress"
)

// record is one record of a batch as it stands on the topic. Its slices are parts of what was fetched.
type record struct {
	offset int64
	at     int64 // ms
	key    []byte
	value  []byte
	heads  int    // headers
	head   []byte // still encoded: most readers look for one
}

// headers goes over a record's headers.
type headers struct {
	left int
	c    cursor
}

func (r *record) headers() headers { return headers{left: r.heads, c: cursor{b: r.head}} }

// next gives the next header; ok is false after the last and where the rest cannot be read.
func (h *headers) next() (name, value []byte, ok bool) {
	if h.left <= 0 {
		return nil, nil, false
	}
	h.left--
	name, value = h.c.bytes(), h.c.bytes()
	return name, value, !h.c.short
}

const (
	codecBits   = 0x07
	controlBit  = 0x20
	inflateMost = 64 << 20 // bytes that one compressed batch may become
)

// ErrDamaged: a batch on the topic is not what was once written: its checksum or its shape is wrong.
var ErrDamaged = errors.New("bus: a record batch is damaged")

// each visits the records of an answer, in order, from the offset that was asked for on, and says where to go on reading.
// Batches of the broker's own are passed over. A damaged batch is told to spoilt with the number of records that it
// says it has, and passed over too when spoilt returns nil. Nothing is allocated per record.
func (f *fetched) each(visit func(*record) error, spoilt func(err error, count int) error) (next int64, err error) {
	next = f.from
	var rec record
	for b := f.batches; len(b) >= batchHead; {
		first, size := int64(binary.BigEndian.Uint64(b)), int64(int32(binary.BigEndian.Uint32(b[atLength:])))+atLength+4
		if size < batchHead || first < 0 {
			return next, fmt.Errorf("%w: length %d at offset %d", ErrDamaged, size, first)
		}
		if size > int64(len(b)) {
			break // cut off by the size of the answer
		}
		one := b[:size]
		b = b[size:]
		last := first + int64(max(int32(binary.BigEndian.Uint32(one[atLast:])), 0))
		if last < next {
			continue
		}
		if err := decode(one, first, next, &rec, visit); err != nil {
			if !errors.Is(err, ErrDamaged) {
				return rec.offset + 1, err
			}
			if err := spoilt(err, int(int32(binary.BigEndian.Uint32(one[atCount:])))); err != nil {
				return next, err
			}
		}
		next = last + 1
	}
	if next == f.from && len(f.batches) > 0 && f.from < f.end {
		return next, fmt.Errorf("%w: no batch at offset %d", ErrDamaged, next)
	}
	return next, nil
}

// decode visits the records of one whole batch from an offset on.
func decode(b []byte, first, from int64, rec *record, visit func(*record) error) error {
	if b[atMagic] != 2 {
		return fmt.Errorf("%w: format %d at offset %d", ErrDamaged, b[atMagic], first)
	}
	if crc32.Checksum(b[atAttribute:], castagnoli) != binary.BigEndian.Uint32(b[atCRC:]) {
		return fmt.Errorf("%w: checksum at offset %d", ErrDamaged, first)
	}
	attributes := binary.BigEndian.Uint16(b[atAttribute:])
	if attributes&controlBit != 0 {
		return nil // written by the broker, about transactions
	}
	start, count := int64(binary.BigEndian.Uint64(b[atFirstTime:])), int(int32(binary.BigEndian.Uint32(b[atCount:])))
	c := cursor{b: b[batchHead:]}
	if codec := attributes & codecBits; codec != 0 {
		plain, err := inflate(compress.Compression(codec), c.b)
		if err != nil {
			return fmt.Errorf("%w: at offset %d: %w", ErrDamaged, first, err)
		}
		c.b = plain
	}
	for range count {
		body := cursor{b: c.bytes()}
		body.skip(1) // attributes, of which there are none
		rec.at = start + body.varint()
		rec.offset = first + body.varint()
		rec.key, rec.value = body.bytes(), body.bytes()
		rec.heads, rec.head = int(body.varint()), body.b
		if c.short || body.short || rec.heads < 0 || rec.offset < first {
			return fmt.Errorf("%w: record at offset %d", ErrDamaged, first)
		}
		if rec.offset < from {
			continue // the batch begins before what was asked for
		}
		if err := visit(rec); err != nil {
			return err
		}
	}
	return nil
}

// inflate decompresses a foreign producer's batch; our relays do not compress.
func inflate(c compress.Compression, b []byte) ([]byte, error) {
	codec := c.Codec()
	if codec == nil {
		return nil, fmt.Errorf("unknown compression %d", c)
	}
	r := codec.NewReader(bytes.NewReader(b))
	defer func() { _ = r.Close() }() // of a reader over memory
	plain, err := io.ReadAll(io.LimitReader(r, inflateMost+1))
	if err == nil && len(plain) > inflateMost {
		err = fmt.Errorf("more than %d bytes", inflateMost)
	}
	return plain, err
}
