package holding

import (
	"maps"

	"github.com/obole-market/obole/pkg/fault"
)

// ErrSourceUnknown: measurements came from where none were announced.
var ErrSourceUnknown = fault.NotFound("SOURCE_UNKNOWN", "there is no such source")

// Decide answers a command with the events that it causes. state gives what Reads named.
func Decide(state func(On) State, c Command) ([]Entry, error) {
	switch c := c.(type) {
	case Connect:
		if state(c.on()) != nil {
			return nil, nil
		}
		return []Entry{{c.on(), Connected(c)}}, nil
	case Import:
		source, known := state(On{c.Holding, c.Source}).(Source)
		if !known {
			return nil, ErrSourceUnknown
		}
		out := []Entry{{c.on(), Imported{
			Holding: c.Holding, Import: c.Import, Source: c.Source, Route: source.Route, Zone: c.Zone, Fingerprint: c.Fingerprint,
			Importer: c.Importer, File: c.File, Arrivals: c.Arrivals, Repeated: c.Repeated,
		}}}
		h, _ := state(c.on()).(Holding)
		if h.Rules != c.Rules || !maps.Equal(h.Facts, c.Facts) {
			out = append(out, Entry{c.on(), Derived{Holding: c.Holding, Rules: c.Rules, Facts: c.Facts}})
		}
		return out, nil
	}
	panic("holding: command without a rule")
}
