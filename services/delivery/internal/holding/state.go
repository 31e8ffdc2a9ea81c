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
	Importer     string
	Route        Route
	Restricted   bool
	Disconnected bool
	Turns        int // how often it was restricted or that was lifted: what is known of a later turn is newer
}

func (Holding) state() {}
func (Source) state()  {}
