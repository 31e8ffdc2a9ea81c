package token

import (
	"strings"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Roles is a set of roles, one bit each.
type Roles uint32

// RolesOf makes a set; ROLE_UNSPECIFIED is never in one.
func RolesOf(roles ...eventv1.Role) Roles {
	var set Roles
	for _, r := range roles {
		if r > 0 && r < 32 {
			set |= 1 << r
		}
	}
	return set
}

// Has says whether the role is in the set.
func (s Roles) Has(r eventv1.Role) bool { return s&RolesOf(r) != 0 }

// List is the set in the order of the enum.
func (s Roles) List() []eventv1.Role {
	var list []eventv1.Role
	for r := eventv1.Role(1); r < 32; r++ {
		if s.Has(r) {
			list = append(list, r)
		}
	}
	return list
}

// RoleName is a role as tokens spell it: "subscriber" for ROLE_SUBSCRIBER.
func RoleName(r eventv1.Role) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}

// ParseRole is RoleName's inverse; what it does not know is ROLE_UNSPECIFIED.
func ParseRole(name string) eventv1.Role {
	return eventv1.Role(eventv1.Role_value["ROLE_"+strings.ToUpper(name)])
}
