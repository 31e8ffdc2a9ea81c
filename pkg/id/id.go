// Package id names things. An id is 128 bits and carries no meaning: nothing about a person, a phone number or a
// time can be read out of it. It is either random (New) or derived from what made it necessary (Derive), so that a
// retry of the same request names the same thing.
package id

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
)

// ID is a 128-bit identifier in UUID layout. The zero ID names nothing.
type ID [16]byte

// ErrSyntax says that a text is not an ID.
var ErrSyntax = errors.New("id: want 32 hexadecimal digits in the form 8-4-4-4-12")

// Source makes new ids. It is injected, so that a simulator can repeat a run.
type Source func() ID

// Random is the Source of production: UUID version 4. Version 7 would show when a person enrolled.
func Random() ID {
	var v ID
	_, _ = rand.Read(v[:]) // never fails
	return v.stamp(4)
}

// FromReader is a Source of version 4 ids over r, which must not fail.
func FromReader(r io.Reader) Source {
	return func() ID {
		var v ID
		if _, err := io.ReadFull(r, v[:]); err != nil {
			panic("id: randomness failed: " + err.Error())
		}
		return v.stamp(4)
	}
}

// Derive makes the id that the parts determine: the first 16 bytes of SHA-256 over each part with its length before
// it, in UUID version 8. The first part is by convention the name of what is derived.
func Derive(parts ...[]byte) ID {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	var v ID
	copy(v[:], h.Sum(nil))
	return v.stamp(8)
}

// Parse reads the text form; upper case is accepted.
func Parse[T ~string | ~[]byte](s T) (ID, error) {
	var v ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return v, ErrSyntax
	}
	var digits [32]byte
	copy(digits[:], s[:8])
	copy(digits[8:], s[9:13])
	copy(digits[12:], s[14:18])
	copy(digits[16:], s[19:23])
	copy(digits[20:], s[24:])
	if _, err := hex.Decode(v[:], digits[:]); err != nil {
		return ID{}, ErrSyntax
	}
	return v, nil
}

// String is the lower-case UUID form.
func (v ID) String() string {
	var b [36]byte
	v.encode(b[:])
	return string(b[:])
}

// Append appends the form of String.
func (v ID) Append(b []byte) []byte {
	n := len(b)
	b = slices.Grow(b, 36)[:n+36]
	v.encode(b[n:])
	return b
}

// IsZero says whether the ID names nothing.
func (v ID) IsZero() bool { return v == ID{} }

// MarshalText and UnmarshalText make IDs readable in JSON and configuration.
func (v ID) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	v.encode(b)
	return b, nil
}

// UnmarshalText is Parse.
func (v *ID) UnmarshalText(b []byte) error {
	p, err := Parse(b)
	if err == nil {
		*v = p
	}
	return err
}

func (v ID) encode(b []byte) {
	hex.Encode(b, v[:4])
	b[8] = '-'
	hex.Encode(b[9:], v[4:6])
	b[13] = '-'
	hex.Encode(b[14:], v[6:8])
	b[18] = '-'
	hex.Encode(b[19:], v[8:10])
	b[23] = '-'
	hex.Encode(b[24:], v[10:])
}

func (v ID) stamp(version byte) ID {
	v[6] = v[6]&0x0f | version<<4
	v[8] = v[8]&0x3f | 0x80
	return v
}
