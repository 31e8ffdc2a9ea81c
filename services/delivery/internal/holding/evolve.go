package holding

// Evolve folds an event into the state of its stream. It is total.
func Evolve(s State, e Event) State {
	source, _ := s.(Source)
	switch e := e.(type) {
	case Connected:
		return Source{Importer: e.Importer, Route: e.Route}
	case Restricted:
		source.Restricted, source.Turns = true, source.Turns+1
		return source
	case Lifted:
		source.Restricted, source.Turns = false, source.Turns+1
		return source
	case Disconnected:
		source.Disconnected = true
		return source
	case Reconnected:
		source.Disconnected = false
		return source
	case Imported, Corrected:
		h, _ := s.(Holding)
		return h
	case Derived:
		return Holding{Rules: e.Rules, Facts: e.Facts}
	}
	return s
}
