package wire

import (
	"time"

	"github.com/obole-market/obole/pkg/policy"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

// noAge keeps a country without a pack closed: nobody is old enough.
const noAge = 200

// Law is what a country's pack says at a time, as far as consent must know, with the pack's name. Where there is no pack
// nothing paid is allowed.
func Law(s *policy.Set, country string, at time.Time) (subscriber.Law, *eventv1.PolicyRef) {
	p, err := s.At(country, at)
	if err != nil {
		return subscriber.Law{Country: country, AdultAge: noAge}, nil
	}
	return subscriber.Law{Country: country, AdultAge: p.AdultAge.Value, PaidHealth: p.PaidHealth.Value},
		&eventv1.PolicyRef{Pack: p.Country, Version: p.Version}
}
