package journey

import (
	"fmt"
	"sync"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers"
)

// TestOneAccountOfALegalEntity: accounts of one legal entity that register at the same moment, each writing its number in a way of its own,
// come to one that may bid, whoever vets them and when.
func TestOneAccountOfALegalEntity(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	keys, err := parcel.NewKeys(parcel.X25519)
	m.must(err)
	ways := []string{"BE0%09d", "be 0%09d", " Be-0%09d", "BE.0%09d "}
	register := func(n, way int) (string, error) {
		who := id.Random().String()
		client := offersv1.NewOffersServiceClient(m.Dial(offers.Name, who, eventv1.Role_ROLE_BUYER))
		_, err := client.RegisterBuyer(ctx, &offersv1.RegisterBuyerRequest{
			BuyerId: who, IdempotencyKey: "r", Entity: &offersv1.LegalEntity{
				LegalEntityId: fmt.Sprintf(ways[way], n), LegalName: "A study", Country: "BE", DpoContact: "dpo@study.example",
				PrivacyNoticeUri: "https://study.example/privacy", ProcessingCountries: []string{"BE"},
			},
			Keys: []*offersv1.BuyerKey{{Id: "k1", Algorithm: keys.Algorithm, PublicKey: keys.Public, ReceiptKey: keys.Receipt}},
		})
		return who, err
	}
	const entities = 4
	var all sync.WaitGroup
	registered := make([][]string, entities)
	for n := range entities {
		who, errs := make([]string, len(ways)), make([]error, len(ways))
		for way := range ways {
			all.Go(func() { who[way], errs[way] = register(n, way) })
		}
		all.Wait()
		for way, err := range errs {
			switch {
			case err == nil:
				registered[n] = append(registered[n], who[way])
			case reason(err) != "BUYER_EXISTS":
				t.Error(err)
			}
		}
	}
	for n := range entities {
		errs := make([]error, len(registered[n]))
		vet := func(i int, key string) error {
			_, err := m.operator.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: registered[n][i], IdempotencyKey: key + registered[n][i]})
			return err
		}
		for i := range registered[n] {
			all.Go(func() { errs[i] = vet(i, "v") })
		}
		all.Wait()
		vetted := 0
		for i, err := range errs {
			switch {
			case err == nil:
				vetted++
				m.must(vet(i, "v")) // a retry
				m.must(vet(i, "again"))
			case reason(err) != "BUYER_EXISTS":
				t.Error(err)
			case reason(vet(i, "later")) != "BUYER_EXISTS":
				t.Error("a second account is vetted later")
			}
		}
		if vetted != 1 {
			t.Errorf("of %d accounts of one entity %d are vetted", len(errs), vetted)
		}
		for way := range ways {
			if _, err := register(n, way); reason(err) != "BUYER_EXISTS" {
				t.Errorf("a further account, as %q: %v", ways[way], err)
			}
		}
	}
}
