package es

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/obole-market/obole/pkg/id"
)

// Meta is what the log knows of an event beside its data. It is encoded in Record.Meta; every part of it can travel in
// a header of its own, and EncodeMeta of the same parts gives the same bytes again.
type Meta struct {
	// ID of the event.
	ID id.ID
	// Hash of the request that caused it, on ordinal 0 only, else zero.
	Hash [32]byte
	// Trace is the W3C trace parent ("00-<32 hex>-<16 hex>-<2 hex>") of the command, or empty.
	Trace string
	// KeyRef names the key that seals the event's personal fields; at most 255 bytes, empty where nothing is sealed.
	KeyRef string
}

// ErrMeta says that bytes are no Meta.
var ErrMeta = errors.New("es: malformed meta")

// metaFormat is the first byte of an encoded Meta; its high bits say which of the optional parts follow.
const (
	metaFormat   = 0x01
	metaFormats  = 0x0f
	metaHasHash  = 0x10
	metaHasTrace = 0x20
	metaHasKey   = 0x40

	traceText  = 55 // bytes of a trace parent
	traceBytes = 25 // trace id, parent id, flags
)

// AppendMeta appends the encoding of m: a format byte, the id, then those parts that are set: hash (32 bytes), trace
// (25), key reference (a length byte and the text). A trace that is not a trace parent of version 00 is left out; a
// longer key reference than 255 bytes is cut.
func AppendMeta(b []byte, m Meta) []byte {
	at := len(b)
	b = append(b, metaFormat)
	b = append(b, m.ID[:]...)
	if m.Hash != [32]byte{} {
		b[at] |= metaHasHash
		b = append(b, m.Hash[:]...)
	}
	if trace, ok := packTrace(m.Trace); ok {
		b[at] |= metaHasTrace
		b = append(b, trace[:]...)
	}
	if m.KeyRef != "" {
		ref := m.KeyRef[:min(len(m.KeyRef), 255)]
		b[at] |= metaHasKey
		b = append(b, byte(len(ref)))
		b = append(b, ref...)
	}
	return b
}

// EncodeMeta is AppendMeta into a slice of its own.
func EncodeMeta(m Meta) []byte { return AppendMeta(nil, m) }

// DecodeMeta is EncodeMeta's inverse. It refuses bytes that EncodeMeta would not have written.
func DecodeMeta(b []byte) (Meta, error) {
	var m Meta
	if len(b) < 17 || b[0]&metaFormats != metaFormat || b[0]&0x80 != 0 {
		return m, fmt.Errorf("%w: %d bytes", ErrMeta, len(b))
	}
	flags := b[0]
	m.ID = id.ID(b[1:17])
	b = b[17:]
	if flags&metaHasHash != 0 {
		if len(b) < 32 {
			return m, fmt.Errorf("%w: hash cut short", ErrMeta)
		}
		m.Hash = [32]byte(b[:32])
		b = b[32:]
	}
	if flags&metaHasTrace != 0 {
		if len(b) < traceBytes {
			return m, fmt.Errorf("%w: trace cut short", ErrMeta)
		}
		m.Trace = unpackTrace(b[:traceBytes])
		b = b[traceBytes:]
	}
	if flags&metaHasKey != 0 {
		if len(b) < 2 || len(b) < 1+int(b[0]) || b[0] == 0 {
			return m, fmt.Errorf("%w: key reference cut short", ErrMeta)
		}
		m.KeyRef = string(b[1 : 1+int(b[0])])
		b = b[1+int(b[0]):]
	}
	if len(b) != 0 || flags&metaHasHash != 0 && m.Hash == [32]byte{} {
		return m, fmt.Errorf("%w: not canonical", ErrMeta)
	}
	return m, nil
}

// packTrace packs the hexadecimal parts of a lower-case trace parent.
func packTrace(s string) (out [traceBytes]byte, ok bool) {
	if len(s) != traceText || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return out, false
	}
	var digits [2 * traceBytes]byte
	copy(digits[:], s[3:35])
	copy(digits[32:], s[36:52])
	copy(digits[48:], s[53:])
	for _, c := range digits {
		if c >= 'A' && c <= 'F' {
			return out, false // the standard wants lower case, and what is unpacked must be what was packed
		}
	}
	_, err := hex.Decode(out[:], digits[:])
	return out, err == nil
}

func unpackTrace(b []byte) string {
	out := make([]byte, 0, traceText)
	out = append(out, "00-"...)
	out = hex.AppendEncode(out, b[:16])
	out = append(out, '-')
	out = hex.AppendEncode(out, b[16:24])
	out = append(out, '-')
	return string(hex.AppendEncode(out, b[24:]))
}
