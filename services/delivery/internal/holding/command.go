package holding

// Command is what a person, or what feeds their data, asks for.
type Command interface{ on() On }

// Connect names where measurements will come from.
type Connect struct {
	Holding  ID
	Source   SourceID
	Importer string
	Route    Route
}

// Import records that a file or batch was read, and what the rules say of the person's data since.
type Import struct {
	Holding     ID
	Import      ImportID
	Source      SourceID
	Zone        string
	Fingerprint []byte
	Importer    string
	File        [32]byte
	Arrivals    []Arrival
	Repeated    int
	Rules       int
	Facts       map[string]string
}

func (c Connect) on() On { return On{c.Holding, c.Source} }
func (c Import) on() On  { return On{Holding: c.Holding} }

// Reads names the streams that Decide looks at; the first is the one that the command is about.
func Reads(c Command) []On {
	if c, ok := c.(Import); ok {
		return []On{c.on(), {c.Holding, c.Source}}
	}
	return []On{c.on()}
}

// Creates names the stream that a command is the first to write to.
func Creates(c Command) (On, bool) {
	_, ok := c.(Connect)
	return c.on(), ok
}
