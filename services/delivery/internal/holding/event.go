package holding

import "github.com/obole-market/obole/pkg/id"

// Ids that must not be swapped.
type (
	ID       struct{ id.ID } // a holding, and its person
	SourceID struct{ id.ID }
	ImportID struct{ id.ID }
	PointID  struct{ id.ID }
)

// On names a stream: the person's own where Source is zero, else a source's.
type On struct {
	Holding ID
	Source  SourceID
}

// Entry is an event and where it happens.
type Entry struct {
	On    On
	Event Event
}

// Event is a fact about a person's data.
type Event interface{ event() }

// Route is how measurements come, in law. The numbers are the contract's.
type Route int32

// Routes.
const (
	RouteOperator Route = 1 // the operator's own feed
	RouteProduct  Route = 2 // the user's access to a connected product's data
	RouteShared   Route = 3 // shared at the user's request
	RouteOwnCopy  Route = 4 // the person's own copy
)

// Assurance says how far measurements can be trusted, weakest first. The numbers are the contract's.
type Assurance int32

// Assurances.
const (
	OwnFile         Assurance = 1
	VendorInterface Assurance = 2
	OperatorFeed    Assurance = 3
)

// Assurance that a route gives.
func (r Route) Assurance() Assurance {
	switch r {
	case RouteOperator:
		return OperatorFeed
	case RouteProduct, RouteShared:
		return VendorInterface
	}
	return OwnFile
}

// Connected: measurements may come from here.
type Connected struct {
	Holding  ID
	Source   SourceID
	Importer string
	Route    Route
}

// Arrival counts new points of one schema.
type Arrival struct {
	Schema      string
	Points      int
	First, Last string // days they touch
}

// Imported: a file or batch was read as a whole.
type Imported struct {
	Holding     ID
	Import      ImportID
	Source      SourceID
	Route       Route
	Zone        string
	Fingerprint []byte
	Importer    string // version
	File        [32]byte
	Arrivals    []Arrival
	Repeated    int
}

// Derived: what the rules say now, whole.
type Derived struct {
	Holding ID
	Rules   int               // version
	Facts   map[string]string // band by fact
}

// Corrected: a point was wrong, and another has taken its place.
type Corrected struct {
	Holding    ID
	Source     SourceID
	Point      PointID
	Supersedes PointID
	Schema     string
	Day        string
	Deliveries []id.ID // that carry the earlier value
}

// Restricted: what comes from a source is used in nothing.
type Restricted struct {
	Holding ID
	Source  SourceID
}

// Lifted: it is used again.
type Lifted struct {
	Holding ID
	Source  SourceID
}

// Disconnected: nothing comes from a source any more.
type Disconnected struct {
	Holding ID
	Source  SourceID
}

// Reconnected: measurements may come from it again.
type Reconnected struct {
	Holding ID
	Source  SourceID
}

func (Connected) event()    {}
func (Imported) event()     {}
func (Derived) event()      {}
func (Corrected) event()    {}
func (Restricted) event()   {}
func (Lifted) event()       {}
func (Disconnected) event() {}
func (Reconnected) event()  {}
