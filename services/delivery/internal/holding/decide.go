package holding

import (
	"maps"

	"github.com/obole-market/obole/pkg/fault"
)

// ErrSourceUnknown: measurements came from where none were announced.
var ErrSourceUnknown = fault.NotFound("SOURCE_UNKNOWN", "there is no such source")

// ErrSourceOther: what is asked for would make another source of one that is there.
var ErrSourceOther = fault.Conflict("IDEMPOTENCY_CONFLICT", "the same idempotency key named another source")

// Decide answers a command with the events that it causes. state gives what Reads named.
func Decide(state func(On) State, c Command) ([]Entry, error) {
	switch c := c.(type) {
	case Connect:
		return connected(state, c)
	case Import:
		return imported(state, c)
	case Correct:
		if _, known := state(On{c.Holding, c.Source}).(Source); !known {
			return nil, ErrSourceUnknown
		}
		out := []Entry{{c.on(), Corrected{
			Holding: c.Holding, Source: c.Source, Point: c.Point, Supersedes: c.Supersedes, Schema: c.Schema, Day: c.Day, Deliveries: c.Deliveries,
		}}}
		return append(out, derived(state, Derive{c.Holding, c.Rules, c.Facts})...), nil
	case Derive:
		return derived(state, c), nil
	}
	return onSource(state, c)
}

// connected begins a source, once.
func connected(state func(On) State, c Connect) ([]Entry, error) {
	s, known := state(c.on()).(Source)
	switch {
	case !known:
		return []Entry{{c.on(), Connected(c)}}, nil
	case s.Importer != c.Importer || s.Route != c.Route:
		return nil, ErrSourceOther
	}
	return nil, nil
}

// imported tells of an import, and first of its source where it brings that.
func imported(state func(On) State, c Import) (out []Entry, err error) {
	source, known := state(On{c.Holding, c.Source}).(Source)
	switch {
	case known: // also where it was connected meanwhile as another: the file is kept, and what is kept is told
	case c.Brings != nil:
		if out, err = connected(state, *c.Brings); err != nil {
			return nil, err
		}
		source.Route = c.Brings.Route
	default:
		return nil, ErrSourceUnknown
	}
	out = append(out, Entry{c.on(), Imported{
		Holding: c.Holding, Import: c.Import, Source: c.Source, Route: source.Route, Zone: c.Zone, Fingerprint: c.Fingerprint,
		Importer: c.Importer, File: c.File, Arrivals: c.Arrivals, Repeated: c.Repeated,
	}})
	return append(out, derived(state, Derive{c.Holding, c.Rules, c.Facts})...), nil
}

// derived tells what the rules say, where that is news.
func derived(state func(On) State, c Derive) []Entry {
	h, _ := state(c.on()).(Holding)
	if h.Rules == c.Rules && maps.Equal(h.Facts, c.Facts) {
		return nil
	}
	return []Entry{{c.on(), Derived(c)}}
}

// onSource answers what a person asks of a source. What is so already causes nothing.
func onSource(state func(On) State, c Command) ([]Entry, error) {
	s, known := state(c.on()).(Source)
	if !known {
		return nil, ErrSourceUnknown
	}
	var e Event
	switch c := c.(type) {
	case Restrict:
		if !s.Restricted {
			e = Restricted(c)
		}
	case Lift:
		if s.Restricted {
			e = Lifted(c)
		}
	case Disconnect:
		if !s.Disconnected {
			e = Disconnected(c)
		}
	case Reconnect:
		if s.Disconnected {
			e = Reconnected(c)
		}
	default:
		panic("holding: command without a rule")
	}
	if e == nil {
		return nil, nil
	}
	return []Entry{{c.on(), e}}, nil
}
