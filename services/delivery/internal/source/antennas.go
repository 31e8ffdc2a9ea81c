package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"os"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Antenna is where a cell's antenna stands, in millionths of a degree (WGS 84), a tenth of a metre: north and east are positive.
type Antenna struct {
	Latitude, Longitude int32
}

// micro is a degree.
const micro = 1_000_000

// mostAntennas is above what the largest national networks have [house]; it bounds the memory that a table takes.
const mostAntennas = 2_000_000

// OpenAntennas reads the operator's table of its cells from a file; without one there is none, and cells have no place.
func OpenAntennas(file string) (map[string]Antenna, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Antennas(f, file)
}

// Antennas reads bandicoot's table of antennas, one row a cell:
//
//	antenna_id  the cell
//	latitude    degrees, from -90 to 90
//	longitude   degrees, from -180 to 180
//
// It is the network's and names no person. A cell that stands twice is refused, as is a row that cannot be read; the error names file,
// line and field.
func Antennas(r io.Reader, file string) (map[string]Antenna, error) {
	in := &input{Options: Options{File: file}, sum: sha256.New()}
	in.raw = counter{ctx: context.Background(), r: r, sum: in.sum}
	in.r = bufio.NewReaderSize(&in.raw, 4*headSize)
	head, err := in.r.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(head, byteOrderMark) {
		if _, err := in.r.Discard(len(byteOrderMark)); err != nil {
			return nil, err
		}
		head = head[len(byteOrderMark):]
	}
	if !hasColumns(head, "antenna_id", "latitude", "longitude") {
		return nil, in.about(errFormat).And("columns", "antenna_id, latitude and longitude must be there")
	}
	out := map[string]Antenna{}
	err = readTable(in, func(f *feed) error {
		name, err := f.antenna()
		if err != nil {
			return err
		}
		if _, twice := out[name]; twice || name == "" {
			return in.wrong("antenna_id", point.Contrary.Says("is empty or stands there twice"))
		}
		if len(out) == mostAntennas {
			return in.wrong("row", point.TooLarge.Says("is one more than any network has"))
		}
		var a Antenna
		if a.Latitude, err = f.degrees("latitude", 90); err != nil {
			return err
		}
		if a.Longitude, err = f.degrees("longitude", 180); err != nil {
			return err
		}
		out[name] = a
		return nil
	})
	return out, err
}

// degrees reads an angle, rounded to the millionth.
func (f *feed) degrees(column string, most int64) (int32, error) {
	d, what := parseDecimal(f.cell(column))
	if what.Flaw != "" {
		return 0, f.in.wrong(column, what)
	}
	// A measure of the finest resolution, times a thousand: a quantity is of thousandths.
	q, what := d.quantity(point.Weight, scale{1000, 0})
	if what.Flaw != "" || int64(q) > most*micro || int64(q) < -most*micro || int64(q) > math.MaxInt32 {
		return 0, f.in.wrong(column, point.OutOfRange.Says("is no angle in degrees on the earth"))
	}
	return int32(q), nil
}
