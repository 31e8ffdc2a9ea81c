package store

import (
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
)

// Correspondents names the other people in a person's traffic data: the same one always the same, by a keyed fingerprint that nobody can
// make again once the person's content is forgotten, and that is another in anybody else's data. For one import at a time.
func Correspondents(ring *vault.Ring) (func(name []byte) id.ID, error) {
	sum, err := ring.Fingerprint(content, "correspondent")
	if err != nil {
		return nil, err
	}
	var out []byte
	return func(name []byte) id.ID {
		sum.Reset()
		sum.Write(name)
		out = sum.Sum(out[:0])
		return id.Derive([]byte("correspondent"), out)
	}, nil
}
