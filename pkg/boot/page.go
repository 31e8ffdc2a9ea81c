package boot

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/id"
)

// A page token is a version byte, four bytes of SHA-256 over the list it belongs to and where that list goes on, and
// where it goes on. The sum finds mistakes, not forgers: who may read a page is decided anew for each, and a place that no list
// could have given is refused.
const (
	pageVersion = 1
	pageHead    = 5
)

// PageToken is where a list goes on, as callers carry it. list names the list with everything that selects its rows,
// so that a token of one is no token of another.
func PageToken(list string, at proto.Message) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(at)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(pageOf(list, b), b...)), nil
}

// ParsePage reads a PageToken of the same list into at, which an empty token leaves as it is. Anything else is an
// invalid page_token. What is read can be asked of a database: no number is below 0, no time of microseconds is after the year 9999,
// no string has a NUL, and what a field ending in _id holds is an id.
func ParsePage(list, token string, at proto.Message) error {
	if token == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < pageHead || string(b[:pageHead]) != string(pageOf(list, b[pageHead:])) ||
		proto.Unmarshal(b[pageHead:], at) != nil || !plausible(at.ProtoReflect()) {
		return errPage
	}
	return nil
}

func pageOf(list string, at []byte) []byte {
	h := sha256.New()
	h.Write([]byte(list))
	h.Write([]byte{0})
	h.Write(at)
	return append([]byte{pageVersion}, h.Sum(nil)[:pageHead-1]...)
}

// lastMicro is the last microsecond of the year 9999. No list has as many rows.
const lastMicro = 253402300799999999

// plausible says whether a list could have given a place.
func plausible(at protoreflect.Message) bool {
	ok := true
	at.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsList() || f.IsMap() {
			ok = false // no place has one
			return ok
		}
		switch n := v.Interface().(type) {
		case int32:
			ok = n >= 0
		case int64:
			ok = n >= 0 && n <= lastMicro
		case uint64:
			ok = n <= lastMicro
		case string:
			if ok = !strings.ContainsRune(n, 0); ok && strings.HasSuffix(string(f.Name()), "_id") {
				_, err := id.Parse(n)
				ok = err == nil
			}
		case protoreflect.Message:
			ok = plausible(n)
		}
		return ok
	})
	return ok
}
