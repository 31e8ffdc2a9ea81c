package holding

import "github.com/obole-market/obole/pkg/id"

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
	Brings      *Connect // the source, where it comes with the import; nil: it is there
	Zone        string
	Fingerprint []byte
	Importer    string
	File        [32]byte
	Arrivals    []Arrival
	Repeated    int
	Rules       int
	Facts       map[string]string
}

// Correct records that a person has corrected a point, and what the rules say since.
type Correct struct {
	Holding    ID
	Source     SourceID
	Point      PointID
	Supersedes PointID
	Schema     string
	Day        string
	Deliveries []id.ID // that carry the earlier value
	Rules      int
	Facts      map[string]string
}

// Restrict has what comes from a source used in nothing.
type Restrict struct {
	Holding ID
	Source  SourceID
}

// Lift ends a restriction.
type Lift struct {
	Holding ID
	Source  SourceID
}

// Disconnect ends that anything comes from a source.
type Disconnect struct {
	Holding ID
	Source  SourceID
}

// Reconnect lets measurements come from a source again.
type Reconnect struct {
	Holding ID
	Source  SourceID
}

// Derive records what the rules say of the person's data now.
type Derive struct {
	Holding ID
	Rules   int
	Facts   map[string]string
}

func (c Connect) on() On    { return On{c.Holding, c.Source} }
func (c Import) on() On     { return On{Holding: c.Holding} }
func (c Correct) on() On    { return On{Holding: c.Holding} }
func (c Derive) on() On     { return On{Holding: c.Holding} }
func (c Restrict) on() On   { return On(c) }
func (c Lift) on() On       { return On(c) }
func (c Disconnect) on() On { return On(c) }
func (c Reconnect) on() On  { return On(c) }

// Reads names the streams that Decide looks at; the first is the one that the command is about.
func Reads(c Command) []On {
	switch c := c.(type) {
	case Import:
		return []On{c.on(), {c.Holding, c.Source}}
	case Correct:
		return []On{c.on(), {c.Holding, c.Source}}
	}
	return []On{c.on()}
}

// Creates names the stream that a command is the first to write to.
func Creates(c Command) (On, bool) {
	_, ok := c.(Connect)
	return c.on(), ok
}
