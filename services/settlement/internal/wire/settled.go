package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// This file writes the one event that a book writes all day by hand: the same bytes as those of Proto's message, without the
// message, which is dearer than everything else that is done to settle a delivery. A test holds the two to each other.

// Numbers of fields in the contract's Event, and the type of the second.
const (
	eventMeta    = 1
	eventSettled = 20

	typeSettled = "delivery_settled"
)

func (c Codec) settled(e *book.Settled, meta *eventv1.Meta) (string, []byte, error) {
	var room [1 << 10]byte // on the stack; more moves to the heap
	arm := appendID(room[:0], 1, e.Book.ID)
	arm = appendID(arm, 2, e.Delivery.ID)
	arm = appendID(arm, 3, e.Agreement.ID)
	arm = appendID(arm, 4, e.Bid.ID)
	arm = appendID(arm, 5, e.Buyer.ID)
	arm = appendID(arm, 6, e.Subscriber.ID)
	arm = appendText(arm, 7, e.Product)
	arm = appendInt(arm, 8, int64(uint32(e.Slots)))
	arm = c.appendPrice(arm, 9, e.Price)
	arm = appendText(arm, 10, e.SplitRule)
	arm = appendBytes(arm, 11, e.ReleaseEvent[:])
	arm = appendInt(arm, 12, e.AvailableAt.UnixMicro())
	arm = appendText(arm, 13, e.ValueDate)
	for i := range e.Postings {
		arm = appendPosting(arm, 15, &e.Postings[i])
	}
	arm = appendText(arm, 16, c.Currency)

	size := proto.Size(meta)
	data := make([]byte, 0, protowire.SizeTag(eventMeta)+protowire.SizeBytes(size)+protowire.SizeTag(eventSettled)+protowire.SizeBytes(len(arm)))
	data = protowire.AppendTag(data, eventMeta, protowire.BytesType)
	data = protowire.AppendVarint(data, uint64(size))
	data, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(data, meta)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	return typeSettled, appendBytes(data, eventSettled, arm), nil
}

func appendPosting(b []byte, n protowire.Number, p *book.Posting) []byte {
	var room [256]byte
	m := appendInt(room[:0], 1, int64(p.Account))
	if !p.Owner.IsZero() {
		m = appendID(m, 2, p.Owner)
	}
	m = appendInt(m, 3, p.Minor)
	m = appendInt(m, 4, p.Residual)
	if t := &p.Tax; t.Kind != 0 {
		var room [64]byte
		tax := appendInt(room[:0], 1, int64(t.Kind))
		tax = appendInt(tax, 2, int64(uint32(t.RatePPM)))
		tax = appendText(tax, 3, t.Country)
		tax = appendInt(tax, 4, t.Base)
		m = appendBytes(m, 5, tax)
	}
	return appendBytes(b, n, m)
}

func (c Codec) appendPrice(b []byte, n protowire.Number, micros int64) []byte {
	var room [32]byte
	return appendBytes(b, n, appendText(appendInt(room[:0], 1, micros), 2, c.Currency))
}

// What is zero is left out, as proto3 has it.

func appendInt(b []byte, n protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

func appendText(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

// appendBytes appends a message, or bytes that are never empty.
func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

// appendID appends an id as text; also a zero one has all its digits.
func appendID(b []byte, n protowire.Number, v id.ID) []byte {
	const text = 36
	return v.Append(protowire.AppendVarint(protowire.AppendTag(b, n, protowire.BytesType), text))
}
