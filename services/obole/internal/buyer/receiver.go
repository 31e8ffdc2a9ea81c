package buyer

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Receiver takes packages to a folder: ciphertext first, then the receipt for the key, then the rows.
type Receiver struct {
	Key  *KeyFile
	From deliveryv1.DeliveryServiceClient
	Dir  string
}

// Received is a package that was opened: the file with its rows, and what they are.
type Received struct {
	File     string
	Manifest parcel.Manifest
}

func (r *Receiver) path(d *deliveryv1.Delivery, kind string) string {
	return filepath.Join(r.Dir, d.GetDeliveryId()+kind)
}

// Lacks says whether a delivery is to be had and its rows are not here. One that was released and paid for, and lost
// on the way to the disk, is asked for again.
func (r *Receiver) Lacks(d *deliveryv1.Delivery) bool {
	switch d.GetState() {
	case deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED, deliveryv1.DeliveryState_DELIVERY_STATE_RECEIPTED:
		return true
	case deliveryv1.DeliveryState_DELIVERY_STATE_RELEASED:
		_, err := os.Stat(r.path(d, ".ndjson"))
		return err != nil
	default:
		return false
	}
}

// Receive brings one delivery; where it was broken off, it goes on.
func (r *Receiver) Receive(ctx context.Context, d *deliveryv1.Delivery) (Received, error) {
	number, err := id.Parse(d.GetDeliveryId())
	if err != nil || len(d.GetDigest()) != sha256.Size {
		return Received{}, errors.New("the market names no delivery, or no digest of one")
	}
	sealed := r.path(d, ".package")
	if err := r.fetch(ctx, d, sealed); err != nil {
		return Received{}, err
	}
	digest := [sha256.Size]byte(d.GetDigest())
	var answer *deliveryv1.SignReceiptResponse
	// A key that was not on its way within the second stays, and is for the asking: each try goes through the gate again.
	err = client.Again(ctx, func() (err error) {
		answer, err = r.From.SignReceipt(ctx, &deliveryv1.SignReceiptRequest{
			BuyerId: r.Key.Buyer, DeliveryId: d.GetDeliveryId(), Digest: digest[:], KeyId: r.Key.Key,
			Signature: parcel.SignReceipt(ed25519.PrivateKey(r.Key.ReceiptPrivate), number, digest),
		})
		return err
	})
	if err != nil {
		return Received{}, err
	}
	if answer.GetKeyId() != r.Key.Key {
		return Received{}, fmt.Errorf("it is sealed to key %s, and the key file holds %s: receive it with that key's file", answer.GetKeyId(), r.Key.Key)
	}
	key, err := parcel.OpenKey(r.Key.Algorithm, r.Key.Private, number, answer.GetSealedKey())
	if err != nil {
		return Received{}, err
	}
	got, err := r.open(d, number, key, sealed)
	if err != nil {
		return Received{}, err
	}
	return got, os.Remove(sealed)
}

// tries is how often in a row a fetch may break without a byte having come.
const tries = 5

// fetch brings the ciphertext to a file, from where an earlier fetch stopped, and checks its digest.
func (r *Receiver) fetch(ctx context.Context, d *deliveryv1.Delivery, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	for left := tries; uint64(have) < d.GetBytes(); left-- {
		n, err := r.pull(ctx, d, have, f)
		have += n
		if n > 0 {
			left = tries
		}
		if err == nil && uint64(have) < d.GetBytes() {
			err = fault.Unavailable("the package ends early")
		}
		if err != nil && (left == 1 || ctx.Err() != nil || !fault.KindOf(err).Transient()) {
			return err
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if [sha256.Size]byte(sum.Sum(nil)) != [sha256.Size]byte(d.GetDigest()) {
		// What is wrong with it, nobody knows: the next fetch begins at the first byte.
		return errors.Join(errors.New("what was fetched is not what the digest says"), f.Truncate(0))
	}
	return f.Sync()
}

// pull appends to f what one call brings, and says how much.
func (r *Receiver) pull(ctx context.Context, d *deliveryv1.Delivery, from int64, f io.Writer) (n int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.From.FetchPackage(ctx, &deliveryv1.FetchPackageRequest{BuyerId: r.Key.Buyer, DeliveryId: d.GetDeliveryId(), Offset: uint64(from)})
	if err != nil {
		return 0, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if m.GetOffset() != uint64(from+n) || uint64(from+n)+uint64(len(m.GetChunk())) > d.GetBytes() {
			return n, fmt.Errorf("the market sends bytes from %d, not from %d", m.GetOffset(), from+n)
		}
		wrote, err := f.Write(m.GetChunk())
		n += int64(wrote)
		if err != nil {
			return n, err
		}
	}
}

// open decrypts a package into its two files. They appear whole or not at all.
func (r *Receiver) open(d *deliveryv1.Delivery, number id.ID, key []byte, sealed string) (got Received, err error) {
	in, err := os.Open(sealed)
	if err != nil {
		return got, err
	}
	defer in.Close()
	whole, err := os.CreateTemp(r.Dir, ".opened-*")
	if err != nil {
		return got, err
	}
	defer os.Remove(whole.Name())
	defer whole.Close()
	if err := parcel.Open(key, number, bufio.NewReader(in), whole); err != nil {
		return got, err
	}
	if _, err := whole.Seek(0, io.SeekStart); err != nil {
		return got, err
	}
	file := bufio.NewReader(whole)
	head, err := file.ReadBytes('\n')
	if err != nil || json.Unmarshal(head, &got.Manifest) != nil || got.Manifest.Format != parcel.Format {
		return got, parcel.ErrFormat
	}
	if err := r.write(d, ".manifest.json", func(w io.Writer) error { _, err := w.Write(head); return err }); err != nil {
		return got, err
	}
	got.File = r.path(d, ".ndjson")
	return got, r.write(d, ".ndjson", func(w io.Writer) error { _, err := io.Copy(w, file); return err })
}

// write makes a file readable by its owner only, beside its place, and moves it there when it is on the disk.
func (r *Receiver) write(d *deliveryv1.Delivery, kind string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(r.Dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // where it was not moved
	if err := errors.Join(fill(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), r.path(d, kind))
}
