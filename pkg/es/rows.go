package es

// spreads says whether an event is more than its root's own stream can tell of. With the first such event a root gets its row; until
// then the events of its stream are all there is to fold, which is most of a root's life where roots are many and short.
func spreads(on Stream, touched []Stream) bool {
	if len(on.Root()) < len(on) {
		return true
	}
	for _, s := range touched {
		if s != on {
			return true
		}
	}
	return false
}
