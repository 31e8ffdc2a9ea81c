package espg

import (
	"encoding/binary"
	"time"
)

// PostgreSQL's binary formats, written into buffers that are used again. Object ids of the element types are those of
// pg_type.
const (
	oidBytea = 17
	oidInt8  = 20
	oidInt4  = 23
	oidText  = 25
	oidUUID  = 2950
)

// array is a one-dimensional array parameter without nulls.
type array struct {
	b []byte
	n int
}

// begin empties the array and sets its element type.
func (a *array) begin(oid uint32) {
	a.n = 0
	a.b = binary.BigEndian.AppendUint32(a.b[:0], 1) // dimensions
	a.b = binary.BigEndian.AppendUint32(a.b, 0)     // no nulls
	a.b = binary.BigEndian.AppendUint32(a.b, oid)
	a.b = binary.BigEndian.AppendUint32(a.b, 0) // length, set by bytes
	a.b = binary.BigEndian.AppendUint32(a.b, 1) // lower bound
}

func (a *array) text(s string) {
	a.b = binary.BigEndian.AppendUint32(a.b, uint32(len(s)))
	a.b = append(a.b, s...)
	a.n++
}

func (a *array) raw(v []byte) {
	a.b = binary.BigEndian.AppendUint32(a.b, uint32(len(v)))
	a.b = append(a.b, v...)
	a.n++
}

func (a *array) int8(v int64) {
	a.b = binary.BigEndian.AppendUint32(a.b, 8)
	a.b = binary.BigEndian.AppendUint64(a.b, uint64(v))
	a.n++
}

func (a *array) int4(v int32) {
	a.b = binary.BigEndian.AppendUint32(a.b, 4)
	a.b = binary.BigEndian.AppendUint32(a.b, uint32(v))
	a.n++
}

// bytes is the parameter. An array without elements has no dimension.
func (a *array) bytes() []byte {
	if a.n == 0 {
		binary.BigEndian.PutUint32(a.b, 0)
		return a.b[:12]
	}
	binary.BigEndian.PutUint32(a.b[12:], uint32(a.n))
	return a.b
}

// epoch of PostgreSQL's timestamps, which count microseconds from it.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-epoch.UnixMicro()))
}

func readTime(b []byte) time.Time {
	return time.UnixMicro(readInt8(b) + epoch.UnixMicro()).UTC()
}

func readInt8(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

func readInt4(b []byte) int32 { return int32(binary.BigEndian.Uint32(b)) }
