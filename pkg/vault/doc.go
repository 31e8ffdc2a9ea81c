// Package vault keeps a key per person and retention class, so that forgetting a person is losing keys.
//
// What is personal is sealed before it is stored or sent: fields that the contract marks `personal` move out of an event into
// one Sealed per retention class (Ring.Seal), rows and payloads are sealed as bytes (Ring.SealBytes). Events and rows stay
// where they are for ever; after Forget nobody can read them, in no backup, topic or replica that holds the ciphertext.
//
//	ring, err := keeper.Ring(ctx, subscriber)               // before the command is queued
//	event.Sealed, err = ring.Seal(event, aad)               // in the writer: no I/O
//
//	bunch, err := keeper.ByID(ctx, vault.KeyIDs(batch...))  // a reader, once per batch
//	erased, err := bunch.Open(event, event.GetSealed(), aad)
//
// # Keys
//
// Data keys are random, 32 bytes, one per (subject, retention class), wrapped by a key-encryption key that is kept outside the
// database (KEKs). A key is live or erased; erased is a state of its own, so that a late writer cannot mint a key for somebody
// who was forgotten. All classes are minted together at the first Ring: what is stored never depends on which class was used.
//
// A process caches keys for Config.TTL. Forget drops them at once where it is called; another process may read for as
// long as the TTL. Forgetting overwrites the wrapped key with NULL; the database's own remains (dead rows until VACUUM, its
// write-ahead log, backups) still hold it wrapped, which is worth nothing once the key-encryption key of that time is destroyed:
// CreateKEK, Rewrap, delete the old file.
//
// # Sealing
//
// AES-256-GCM with random 96-bit nonces. A key may seal 2^32 messages before nonces threaten to repeat (NIST SP 800-38D,
// 8.3): for one person that is one event a second for 136 years, for a key-encryption key 2^30 people between two
// rotations. The additional data (AAD) of an event is its id, stream, version, type and schema: a box that is moved to another event
// does not open. Labels keep events, rows, wrapped keys and derived keys apart.
//
// A Sealed holds the serialised message with only the personal fields of its class set; opening merges it into the message.
// That is exact because whole fields move: a personal field may be repeated, a map or a message, but none may lie within
// another personal field, nor inside the elements of a repeated field or map. Audit holds the contract to it.
//
// The package is not a key server and authenticates nobody: who may read whom is decided before a ring is asked for.
package vault
