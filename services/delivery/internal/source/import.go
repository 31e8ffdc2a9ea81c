package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"
	"time"

	// Zones by name wherever the process runs, the same rules everywhere.
	_ "time/tzdata"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Names of importers, as sources are connected with.
const (
	Bandicoot = "bandicoot-csv"
	Fitabase  = "fitabase-csv"
	Withings  = "withings-json"
	Points    = "points"
	Mobility  = "mobility-csv"
	Usage     = "usage-csv"
)

// Version of all importers together. It changes when the same file would give other points.
const Version = "1"

// Options are what a file does not say.
type Options struct {
	// Person and Source go into the points' ids.
	Person, Source id.ID
	// Importer that the source was connected with; empty takes any.
	Importer string
	// File is the file's name, for errors only.
	File string
	// Zone is an IANA name, for files that name none.
	Zone string
	// Participant is the person as a file of several names them; empty when the file is of one.
	Participant string
	// First and Last are the only local days taken, YYYY-MM-DD, both ends included; empty means no end.
	First, Last string
	// Correspondent makes the pseudonym of another person whom a file names, under a key that is the person's own. Nil where none may
	// be read.
	Correspondent func(name []byte) id.ID
	// Assurance is given to every point.
	Assurance point.Assurance
	// Now is when the file came; what it measured later is refused. Zero refuses nothing.
	Now time.Time
}

// Summary is what a file came to.
type Summary struct {
	Importer string
	// Format within the importer, as in "daily-activity".
	Format string
	// Zone in which days were counted; empty when every time came with its offset. The last one, where a file has several.
	Zone string
	// SHA256 and Bytes of the file as it came.
	SHA256 [sha256.Size]byte
	Bytes  int64
	// Points that were emitted, repeats included.
	Points int64
	// Command that brought them, where that names the import; zero where the file's own bytes do.
	Command id.ID
}

var (
	errFormat = fault.New(fault.KindInvalid, "FORMAT_UNKNOWN", "no importer knows the file's format")
	errRow    = fault.New(fault.KindInvalid, "ROW_INVALID", "a row of the file cannot be read, nothing of it is kept")
	errZone   = fault.New(fault.KindInvalid, "ZONE_MISSING", "the file names no zone and the caller named none")
	errPerson = fault.New(fault.KindInvalid, "PERSON_MISSING", "the file does not say which person's rows to take")
	errNobody = fault.New(fault.KindInvalid, errPerson.Reason, "the file has no rows of that person")
)

// headSize is how much of a file is looked at to tell its format; a CSV header must fit in.
const headSize = 16 << 10

// importer reads one family of formats.
type importer struct {
	name string
	// knows tells from a file's beginning, without byte order mark, whether it is of this family.
	knows func(head []byte) bool
	read  func(*input) error
	feed  bool // by the operator's feed only
}

var importers = []importer{
	{name: Bandicoot, knows: isBandicoot, read: readBandicoot, feed: true},
	{name: Fitabase, knows: isFitabase, read: readFitabase},
	{name: Mobility, knows: isMobility, read: readMobility, feed: true},
	{name: Usage, knows: isUsage, read: readUsage, feed: true},
	{name: Points, knows: isPoints, read: readPoints}, // before Withings: its mark is the narrower one
	{name: Withings, knows: isWithings, read: readWithings},
}

// Importers lists their names.
func Importers() (names []string) {
	for _, i := range importers {
		names = append(names, i.name)
	}
	slices.Sort(names)
	return names
}

// OfFeed says that an importer reads what comes by the operator's feed only: a person's copy, or a file from elsewhere, proves nothing
// about whom its rows are of.
func OfFeed(name string) bool {
	return slices.ContainsFunc(importers, func(i importer) bool { return i.feed && i.name == name })
}

// Detect names the importer for a file that begins so; some kilobytes are enough.
func Detect(head []byte) (name string, ok bool) {
	head = bytes.TrimPrefix(head, byteOrderMark)
	for _, i := range importers {
		if i.knows(head) {
			return i.name, true
		}
	}
	return "", false
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// Import reads a file to its end and calls emit for each point; the point is only valid during the call.
func Import(ctx context.Context, r io.Reader, o Options, emit func(*point.Point) error) (Summary, error) {
	in := &input{Options: o, emit: emit, sum: sha256.New()}
	in.raw = counter{ctx: ctx, r: r, sum: in.sum}
	in.r = bufio.NewReaderSize(&in.raw, 4*headSize)
	if err := in.open(); err != nil {
		return Summary{}, err
	}
	head, err := in.r.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return Summary{}, err
	}
	if mark := len(head) - len(bytes.TrimPrefix(head, byteOrderMark)); mark > 0 {
		if _, err := in.r.Discard(mark); err != nil {
			return Summary{}, err
		}
		head = head[mark:]
	}
	for _, i := range importers {
		if !i.knows(head) {
			continue
		}
		if o.Importer != "" && o.Importer != i.name {
			return Summary{}, in.about(errFormat).And("importer", "the file is for "+i.name)
		}
		in.Importer = i.name
		if err := i.read(in); err != nil {
			return Summary{}, err
		}
		return in.close()
	}
	return Summary{}, in.about(errFormat)
}

// input is a file that is being read.
type input struct {
	Options
	emit func(*point.Point) error
	sum  hash.Hash
	raw  counter
	r    *bufio.Reader

	format string
	line   int64
	zone   *time.Location // of the rows being read; nil while unknown
	named  *time.Location // the caller's
	used   string         // name of the zone that counted days
	points int64
}

// counter sees the file's bytes as they come.
type counter struct {
	ctx   context.Context
	r     io.Reader
	sum   hash.Hash
	bytes int64
}

func (c *counter) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.sum.Write(b[:n])
	c.bytes += int64(n)
	return n, err
}

func (in *input) open() error {
	for name, day := range map[string]string{"first": in.First, "last": in.Last} {
		if day == "" {
			continue
		}
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return point.NotTime.Says("is no day YYYY-MM-DD").Of("days." + name)
		}
	}
	if in.Zone == "" {
		return nil
	}
	zone, err := loadZone(in.Zone)
	if err != nil {
		return point.NoZone.Says("is no zone of the IANA database").Of("zone")
	}
	in.named, in.zone = zone, zone
	return nil
}

func (in *input) close() (Summary, error) {
	if _, err := io.Copy(io.Discard, in.r); err != nil {
		return Summary{}, err
	}
	s := Summary{Importer: in.Importer, Format: in.format, Zone: in.used, Bytes: in.raw.bytes, Points: in.points}
	in.sum.Sum(s.SHA256[:0])
	return s, nil
}

// about adds the file to a fault.
func (in *input) about(f *fault.Error) *fault.Error {
	if in.File != "" {
		f = f.And("file", in.File)
	}
	return f
}

// wrong is the error of the row that is being read.
func (in *input) wrong(field string, w point.Wrong) error {
	return w.In(in.about(errRow).And("line", in.line).And("field", field+" "+w.Words), field)
}

// blame makes a fault about a field one of the row that is being read.
func (in *input) blame(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		if field, w, ok := point.WrongIn(f); ok {
			return in.wrong(field, w)
		}
	}
	return err
}

// local is the zone of times without an offset.
func (in *input) local() (*time.Location, error) {
	if in.zone == nil {
		return nil, in.about(errZone).And("zone", "must be named")
	}
	in.used = in.zone.String()
	return in.zone, nil
}

// past refuses what has not come yet.
func (in *input) past(field string, f point.Frame) error {
	return in.blame(point.CheckPast(field, f, in.Now))
}

// put completes a point and emits it, unless its day is not wanted.
func (in *input) put(p *point.Point) error {
	if err := p.Check(); err != nil {
		return in.blame(err)
	}
	if err := in.past("body.effective_time_frame", p.Frame); err != nil {
		return err
	}
	if day := p.Day(); day < in.First || in.Last != "" && day > in.Last {
		return nil
	}
	p.Source, p.Assurance = in.Source, in.Assurance
	p.ID = point.Identify(in.Person, in.Source, p)
	in.points++
	return in.emit(p)
}
