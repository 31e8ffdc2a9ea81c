package holding

// Evolve folds an event into the state of its stream. It is total.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Connected:
		return Source{Importer: e.Importer, Route: e.Route}
	case Imported:
		h, _ := s.(Holding)
		return h
	case Derived:
		return Holding{Rules: e.Rules, Facts: e.Facts}
	}
	return s
}
