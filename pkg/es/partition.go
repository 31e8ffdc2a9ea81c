package es

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/obole-market/obole/pkg/id"
)

// HashVersion names how PartitionOf places a root. It is fixed at a log's birth together with the number of partitions.
const HashVersion = 1

// PartitionOf places a stream: the first 8 bytes, big endian, of SHA-256 of its root's name, modulo n. Every stream of a
// root is in the same partition.
func PartitionOf(s Stream, n int) Partition {
	var name [64]byte // longer ones move to the heap
	h := sha256.Sum256(append(name[:0], s.Root()...))
	return Partition(binary.BigEndian.Uint64(h[:]) % uint64(n))
}

// CommandID names a command by who sent it, what it asks and the idempotency key that the caller picked: a retry is the
// same command.
func CommandID(caller, method, key string) id.ID {
	return id.Derive([]byte("command"), []byte(caller), []byte(method), []byte(key))
}
