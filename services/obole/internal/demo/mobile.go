package demo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/place"
	"github.com/obole-market/obole/testdata/bandicoot"
	"github.com/obole-market/obole/testdata/mobile"
)

// tables are what the operator's systems have of a subscriber.
var tables = []struct {
	importer string
	files    fs.ReadFileFS
	name     string
}{
	{"bandicoot-csv", bandicoot.Files, "ego.csv"},
	{"mobility-csv", mobile.Files, "visits.csv"},
	{"usage-csv", mobile.Files, "usage.csv"},
}

// operatorFeeds: the operator brings what its own systems have of some. Nobody can bid for it: it is for them to see.
func (p *play) operatorFeeds(ctx context.Context) error {
	for _, who := range p.people {
		if !slices.Contains(p.Mobile, who.Participant) {
			continue
		}
		for _, t := range tables {
			raw, err := t.files.ReadFile(t.name)
			if err != nil {
				return err
			}
			err = p.send(ctx, client.Operator(), raw, t.importer, deliveryv1.Route_ROUTE_OPERATOR, &deliveryv1.ImportHeader{SubscriberId: who.id, FileName: t.name})
			if err != nil {
				return fmt.Errorf("%s of participant %s: %w", t.name, who.Participant, err)
			}
		}
	}
	return nil
}

// cells tells the market where the cells of the feed stand.
func cells(folder place.Folder) error {
	b, err := bandicoot.Files.ReadFile("antennas.csv")
	if err != nil {
		return err
	}
	return os.WriteFile(folder.Cells(), b, 0o600)
}
