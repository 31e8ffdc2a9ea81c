// Package buyer is what a buyer types: keys, registration, bids, and the receiving of packages.
package buyer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// KeyFile is a buyer's own: its id, and one key with its private halves, which never leave it. Keys are in base64.
type KeyFile struct {
	Buyer          string `json:"buyer_id"`
	Key            string `json:"key_id"`
	Algorithm      string `json:"algorithm"`
	Public         []byte `json:"public_key"`
	Private        []byte `json:"private_key"`
	Receipt        []byte `json:"receipt_key"`
	ReceiptPrivate []byte `json:"receipt_private_key"`
}

func readKey(file string) (*KeyFile, error) {
	b, err := os.ReadFile(file)
	if _, isID := id.Parse(file); err != nil && isID == nil {
		return nil, client.Usage("%s is a buyer's id: its key file is needed here, as obole keys has made it", file)
	}
	if err != nil {
		return nil, client.Usage("key file: %w", err)
	}
	k := new(KeyFile)
	if err := json.Unmarshal(b, k); err != nil {
		return nil, client.Usage("%s is no key file of obole keys", file) // the cause would quote it
	}
	if _, err := id.Parse(k.Buyer); err != nil || k.Key == "" || len(k.Private) == 0 || len(k.ReceiptPrivate) != 64 {
		return nil, client.Usage("%s is no key file of obole keys", file)
	}
	return k, nil
}

// BuyerKey is what the market learns of a key.
func (k *KeyFile) BuyerKey() *offersv1.BuyerKey {
	return &offersv1.BuyerKey{Id: k.Key, Algorithm: k.Algorithm, PublicKey: k.Public, ReceiptKey: k.Receipt}
}

// NewKey makes a key of a buyer, by the id of the algorithm.
func NewKey(who, algorithm string) (*KeyFile, error) {
	keys, err := parcel.NewKeys(algorithm)
	if err != nil {
		return nil, err
	}
	return &KeyFile{
		Buyer: who, Key: "k-" + id.Random().String()[:8], Algorithm: algorithm,
		Public: keys.Public, Private: keys.Private, Receipt: keys.Receipt, ReceiptPrivate: keys.Signer,
	}, nil
}

// Save writes a key to a file that does not exist yet, for its owner only.
func (k *KeyFile) Save(file string) error {
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return client.Usage("%s exists: a key that is overwritten opens nothing any more", file)
	}
	if err != nil {
		return client.Usage("%w", err)
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}

// Keys makes a key file.
type Keys struct {
	File   string `arg:"" help:"File to write; it must not exist."`
	Buyer  string `placeholder:"FILE|ID" help:"Buyer for whom the key is, its id or its present key file; empty means a new buyer."`
	Hybrid bool   `help:"A key that also resists quantum computers (ML-KEM-768 with X25519)."`
}

// Help has the examples.
func (*Keys) Help() string {
	return `The file holds the private keys, by which packages are opened and receipts signed: only its owner can read it, and the market
never sees it.

Examples:
  obole keys study.key
  obole keys study-2.key --buyer study.key && obole buyer rotate --buyer study.key --to study-2.key`
}

// Run makes it.
func (c *Keys) Run(s *client.Session) error {
	who := id.Random().String()
	if c.Buyer != "" {
		var err error
		if who, err = buyerID(c.Buyer); err != nil {
			return err
		}
	}
	algorithm := parcel.X25519
	if c.Hybrid {
		algorithm = parcel.Hybrid
	}
	k, err := NewKey(who, algorithm)
	if err != nil {
		return err
	}
	if err := k.Save(c.File); err != nil {
		return err
	}
	if s.JSON {
		return s.Object(map[string]string{"buyer_id": who, "key_id": k.Key, "file": c.File})
	}
	_, err = fmt.Fprintf(s.Out, "buyer %s, key %s\n", who, k.Key)
	return err
}

// who names the buyer of a command.
type who struct {
	Buyer string `required:"" env:"OBOLE_BUYER" placeholder:"FILE|ID" help:"The buyer: its key file, or its id."`
}

func (w who) id() (string, error) { return buyerID(w.Buyer) }

// buyerID reads an id, or the one in a key file.
func buyerID(text string) (string, error) {
	if v, err := id.Parse(text); err == nil {
		return v.String(), nil
	}
	k, err := readKey(text)
	if err != nil {
		return "", err
	}
	return k.Buyer, nil
}
