package react

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/obole-market/obole/services/settlement/internal/book"
)

// hash tells a repeated settlement from another one under the same delivery: agreement and slots, not the event that told.
func hash(s book.Settle) [32]byte {
	b := append([]byte("settle 1"), s.Delivery.ID[:]...)
	b = append(b, s.Agreement.ID[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(s.Slots)))
}
