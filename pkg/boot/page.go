package boot

import (
	"crypto/sha256"
	"encoding/base64"

	"google.golang.org/protobuf/proto"
)

// A page token is a version byte, four bytes of SHA-256 over the list it belongs to and where that list goes on, and
// where it goes on. The sum finds mistakes, not forgers: who may read a page is decided anew for each.
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
// invalid page_token.
func ParsePage(list, token string, at proto.Message) error {
	if token == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < pageHead || string(b[:pageHead]) != string(pageOf(list, b[pageHead:])) || proto.Unmarshal(b[pageHead:], at) != nil {
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
