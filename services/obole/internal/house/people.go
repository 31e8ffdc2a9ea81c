package house

import (
	"crypto/rand"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/issuer"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// staff are there from the first day; whoever the market takes in comes after them.
func staff() []issuer.Principal {
	return []issuer.Principal{
		{Subject: place.Staff("finance"), Label: "Finance", Roles: []eventv1.Role{eventv1.Role_ROLE_FINANCE}},
		{Subject: place.Staff("operator"), Label: "Operator", Roles: []eventv1.Role{eventv1.Role_ROLE_OPERATOR}},
		{Subject: place.Staff("auditor"), Label: "Auditor", Roles: []eventv1.Role{eventv1.Role_ROLE_AUDITOR}},
	}
}

// guests are those whom the folder remembers.
func (h *house) guests() ([]issuer.Principal, error) {
	all, err := h.Data.People()
	if err != nil {
		return nil, err
	}
	out := make([]issuer.Principal, 0, len(all))
	for _, s := range all {
		p := issuer.Principal{Subject: s.Subject, Label: s.Label}
		for _, name := range s.Roles {
			p.Roles = append(p.Roles, token.ParseRole(name))
		}
		out = append(out, p)
	}
	return out, nil
}

// newcomer is a person who has not joined yet: the page takes them in.
func (h *house) newcomer() (issuer.Principal, error) {
	subject := id.FromReader(rand.Reader)().String()
	label := "Person " + subject[:8]
	roles := []eventv1.Role{eventv1.Role_ROLE_SUBSCRIBER}
	err := h.Data.Welcome(place.Someone{Subject: subject, Label: label, Roles: []string{token.RoleName(roles[0])}})
	return issuer.Principal{Subject: subject, Label: label, Roles: roles}, err
}
