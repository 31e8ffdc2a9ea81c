// Package parcel is what one delivery carries, and how its key travels: the side that seals and the side that opens.
//
// # Package
//
// A package is the ciphertext of one file of lines: a manifest (Manifest) and then one JSON object a row. It is encrypted under
// a content key of its own, 32 random bytes, in chunks of 64 KiB with AES-256-GCM, after the STREAM construction (Hoang,
// Reyhanitabar, Rogaway, Vizár 2015): a chunk that is altered, moved, dropped or taken from another package does not
// open, and neither does a package whose end is missing. Nonces count from zero, which is sound because no key is used
// twice. The format:
//
//	"OBP1", then chunks of up to 65,536 bytes of plaintext, each with its tag of 16 bytes
//	nonce            7 zero bytes, the chunk's number (4 bytes, big endian), 1 for the last chunk, else 0
//	additional data  "obole package v1", a zero byte, the delivery's id in text
//
// Its digest is the SHA-256 of all its bytes.
//
// # Key and receipt
//
// The content key is sealed to the buyer by HPKE (RFC 9180, base mode, encapsulated key first) with the info "obole key v1", a
// zero byte and the delivery's id in text. A receipt is an Ed25519 signature over "obole receipt v1", a zero byte, the
// delivery's id in text and the digest.
//
// The package decides nothing: who may have a key, and when, is delivery's and consent's.
package parcel
