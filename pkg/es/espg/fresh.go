package espg

import (
	"sync"

	"github.com/obole-market/obole/pkg/es"
)

// Bounds of what a process holds of what it appended to one partition last.
const (
	freshRecords = 4096
	freshBytes   = 1 << 20
)

// fresh is the newest records of a partition that this process has appended, without a hole.
type fresh struct {
	mu      sync.Mutex
	life    es.Incarnation
	records []es.Record
	bytes   int
}

// add takes a batch that is stored.
func (f *fresh) add(b *es.Batch) {
	size := 0
	for i := range b.Records {
		size += len(b.Records[i].Data) + len(b.Records[i].Meta)
	}
	room := make([]byte, 0, size)
	own := func(v []byte) []byte {
		room = append(room, v...)
		return room[len(room)-len(v) : len(room) : len(room)]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.records)
	if n > 0 && (f.life != b.Tail.Incarnation || f.records[n-1].Position != b.Tail.Position) || n >= freshRecords || f.bytes >= freshBytes {
		// Others have written in between, or it is enough: readers that are behind read the log. What was lent stays as it is.
		f.records, f.bytes = make([]es.Record, 0, len(b.Records)), 0
	}
	f.life = b.Tail.Incarnation
	f.bytes += size
	for i := range b.Records {
		r := b.Records[i]
		r.Data, r.Meta = own(r.Data), own(r.Meta)
		f.records = append(f.records, r)
	}
}

// Fresh implements es.Reader.
func (l *Log) Fresh(p es.Partition, after es.Position) ([]es.Record, es.Incarnation) {
	f := &l.fresh[p]
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.records) == 0 {
		return nil, es.Incarnation{}
	}
	skip := after + 1 - f.records[0].Position
	if skip < 0 || int(skip) >= len(f.records) {
		return nil, es.Incarnation{}
	}
	return f.records[skip:len(f.records):len(f.records)], f.life
}
