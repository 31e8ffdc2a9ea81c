package buyer

import (
	"context"
	"fmt"
	"strings"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Products shows the catalogue.
type Products struct {
	Product string `arg:"" optional:"" name:"product" help:"One product, ID or ID@VERSION: its fields, rungs and a synthetic sample."`
}

// Run shows. The catalogue is the same for everybody: whoever owns the data folder asks as the operator.
func (c *Products) Run(ctx context.Context, s *client.Session) error {
	from, err := s.Delivery(client.Operator())
	if err != nil {
		return err
	}
	if c.Product != "" {
		return c.one(ctx, s, from)
	}
	all, err := client.Pages(func(page string) ([]*deliveryv1.Product, string, error) {
		r, err := from.ListProducts(ctx, &deliveryv1.ListProductsRequest{PageToken: page})
		return r.GetProducts(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return client.List(s, "products", all, []string{"product", "slot", "cohort", "health", "what"}, func(p *deliveryv1.Product) []any {
		return []any{p.GetRef().GetId() + "@" + p.GetRef().GetVersion(), p.GetSlot(), p.GetCohortMin(), p.GetHealth(), p.GetDescription()}
	})
}

func (c *Products) one(ctx context.Context, s *client.Session, from deliveryv1.DeliveryServiceClient) error {
	name, version, ok := strings.Cut(c.Product, "@")
	if !ok {
		version = "1"
	}
	r, err := from.DescribeProduct(ctx, &deliveryv1.DescribeProductRequest{Product: &marketv1.ProductRef{Id: name, Version: version}})
	if err != nil || s.JSON {
		if err == nil {
			err = s.Line(r)
		}
		return err
	}
	p := r.GetProduct()
	fmt.Fprintf(s.Out, "%s@%s: %s\nCounted by the %s. %s\nPurposes: %s\n\n", name, version, p.GetDescription(), p.GetSlot(), p.GetValidity(), strings.Join(p.GetPurposes(), ", "))
	err = client.List(s, "fields", p.GetFields(), []string{"field", "unit", "rungs, finest first", "what"}, func(f *deliveryv1.ProductField) []any {
		rungs := make([]string, len(f.GetRungs()))
		for i, g := range f.GetRungs() {
			rungs[i] = g.GetId()
		}
		return []any{f.GetId(), f.GetUnit(), strings.Join(rungs, ", "), f.GetDescription()}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "\nA synthetic sample:\n%s", r.GetSample())
	return err
}

// ID reads a buyer's id, or the one in a key file: for commands of others who name a buyer.
func ID(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return buyerID(text)
}
