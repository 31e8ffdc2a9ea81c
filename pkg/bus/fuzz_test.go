package bus

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// sealed is a batch of n events as it stands on a topic.
func sealed(n int) ([]byte, []es.Record) {
	b := newBatch("/test")
	b.reset()
	records := make([]es.Record, n)
	for i := range records {
		r := &records[i]
		*r = es.Record{
			Position: es.Position(i) + 1, ID: id.Random(), Stream: es.StreamOf(id.Random()), Version: 1, Command: id.Random(), Type: "happened",
			Data: bytes.Repeat([]byte{byte(i)}, i*40), At: time.UnixMicro(1_700_000_000_000_000 + int64(i)).UTC(),
		}
		r.Meta = es.EncodeMeta(es.Meta{ID: r.ID, Hash: [32]byte{1}})
		r.Chain = es.NextChain(es.Chain{}, r)
		b.event(es.Incarnation{7}, r)
	}
	return bytes.Clone(b.seal(1, 2, 3)[sizeBytes:]), records
}

// answerOf wraps batches as the broker's answer does.
func answerOf(batches []byte) []byte {
	be := binary.BigEndian
	b := make([]byte, 8, 64+len(batches)) // correlation, throttle time
	b = append(b, 0, 0)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, 1)
	b = appendText(b, "t")
	b = be.AppendUint32(b, 1)
	b = be.AppendUint32(b, 0)
	b = append(b, 0, 0)
	b = be.AppendUint64(b, 100) // end
	b = be.AppendUint64(b, 100)
	b = be.AppendUint64(b, 0) // first
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, uint32(len(batches)))
	return append(b, batches...)
}

// TestWhatIsWrittenIsRead: every field of every event comes back.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	batch, records := sealed(50)
	res, err := (&rawFetch{offset: 10}).answer(answerOf(batch))
	if err != nil {
		t.Fatal(err)
	}
	events, n := newReader(0), 0
	next, err := res.each(func(rec *record) error {
		var r Received
		if marker, err := events.event(rec, &r); marker || err != nil {
			t.Fatal(marker, err)
		}
		want := records[10+n]
		if r.Incarnation != (es.Incarnation{7}) || r.Position != want.Position || r.ID != want.ID || r.Stream != want.Stream || r.Version != want.Version ||
			r.Command != want.Command || r.Type != want.Type || !bytes.Equal(r.Data, want.Data) || !bytes.Equal(r.Meta, want.Meta) ||
			!r.At.Equal(want.At) || r.Chain != want.Chain {
			t.Errorf("read %+v, want %+v", r, want)
		}
		n++
		return nil
	}, func(err error, _ int) error { return err })
	if err != nil || next != 50 || n != 40 {
		t.Errorf("%d events up to offset %d: %v", n, next, err)
	}
}

// FuzzAnswer: nothing that a broker answers makes us panic, read beyond it or stand still without an error. The checksum is
// set right, so that what is behind it is reached.
func FuzzAnswer(f *testing.F) {
	batch, _ := sealed(3)
	f.Add(answerOf(batch), true)
	f.Add(answerOf(append(bytes.Clone(batch), batch[:40]...)), false)
	f.Add([]byte{}, false)
	head := len(answerOf(nil))
	f.Fuzz(func(t *testing.T, b []byte, right bool) {
		if right && len(b) >= head+batchHead {
			one := b[head:]
			if size := int(binary.BigEndian.Uint32(one[atLength:])) + atLength + 4; size >= batchHead && size <= len(one) {
				one = one[:size]
			}
			binary.BigEndian.PutUint32(one[atCRC:], crc32.Checksum(one[atAttribute:], castagnoli))
		}
		res, err := (&rawFetch{}).answer(b)
		if err != nil {
			return
		}
		events := newReader(0)
		var r Received
		next, err := res.each(func(rec *record) error {
			_, _ = events.event(rec, &r) // what is foreign says so
			return nil
		}, func(error, int) error { return nil })
		if err == nil && next < res.from {
			t.Errorf("went back from %d to %d", res.from, next)
		}
	})
}
