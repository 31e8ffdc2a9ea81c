package holding

// State is what deciding needs of one stream: a Holding or a Source. Nil means that the stream does not exist.
type State interface{ state() }

// Holding is the state of the person's own stream.
type Holding struct {
	Rules int
	Facts map[string]string // never changed in place
}

// Source is the state of a source's stream.
type Source struct {
	Importer string
	Route    Route
}

func (Holding) state() {}
func (Source) state()  {}
