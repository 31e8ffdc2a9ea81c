package subscriber

import "time"

// Command is what a person, the operator, a service or time asks for.
type Command interface{ on() On }

// Enrol takes a person in.
type Enrol struct {
	Subscriber ID
	Identity   Identity
}

// AssureAge records what the operator learnt of a person's age.
type AssureAge struct {
	Subscriber ID
	Method     string
	Level      Level
	AtLeast    int // years, 1 to 120
}

// SetRules replaces the rules as a whole.
type SetRules struct {
	Subscriber ID
	Rules      Rules
	Over       *Rules // the rules that it replaces; nil replaces whatever stands
}

// Give asks for a consent on the person's acceptance. It always comes to an event: given or refused.
type Give struct {
	Licence        Licence
	Record         Record
	ExplicitStepAt int64 // microseconds since 1970; 0 means not taken
	Law            Law   // of the person's country
	Net            Price // of a slot, after commission and withholding
	BuyerBarred    bool
	AcceptedAt     time.Time // by the market's log
	AnswerDue      time.Time // from when the market takes no answer any more; zero says nothing
}

// Withdraw ends one consent, or all where Agreement is zero: also what was accepted before and is not a consent yet. One agreement of
// which nothing is known is awaited: its acceptance may be on its way.
type Withdraw struct {
	Subscriber ID
	Agreement  AgreementID
	Initiator  Initiator
}

// Close ends the account: everything is withdrawn, and the person asks to be forgotten.
type Close struct {
	Subscriber ID
	Initiator  Initiator
	Retention  []int32 // classes of obole.event.v1.Retention to forget
}

// Pause stops the use of one consent, or of all, those to come included, where Agreement is zero. One agreement of which nothing is
// known is held back: should its acceptance be on its way, its consent begins paused.
type Pause struct {
	Subscriber ID
	Agreement  AgreementID
	Initiator  Initiator
}

// Resume ends a pause of one consent, or of all where Agreement is zero; also that of one whose acceptance has not come yet.
type Resume struct {
	Subscriber ID
	Agreement  AgreementID
}

// Expire ends a consent that has no one to end it: its time is over, its offer came to nothing, or all is delivered.
type Expire struct {
	Subscriber ID
	Agreement  AgreementID
	Reason     Expiry
}

// Release is the gate: may this key leave now?
type Release struct {
	Subscriber  ID
	Agreement   AgreementID
	Delivery    DeliveryID
	Buyer       BuyerID
	Attempt     AttemptID
	BuyerBarred bool
}

func (c Enrol) on() On     { return On{Subscriber: c.Subscriber} }
func (c AssureAge) on() On { return On{Subscriber: c.Subscriber} }
func (c SetRules) on() On  { return On{Subscriber: c.Subscriber} }
func (c Give) on() On      { return On{c.Licence.Subscriber, c.Licence.Agreement} }
func (c Withdraw) on() On  { return On{c.Subscriber, c.Agreement} }
func (c Close) on() On     { return On{Subscriber: c.Subscriber} }
func (c Pause) on() On     { return On{c.Subscriber, c.Agreement} }
func (c Resume) on() On    { return On(c) }
func (c Expire) on() On    { return On{c.Subscriber, c.Agreement} }
func (c Release) on() On   { return On{c.Subscriber, c.Agreement} }

// Reads names what Decide looks at: the person, and where one consent is meant its own stream, which tells how it ended.
func Reads(c Command) []On {
	on := c.on()
	person := On{Subscriber: on.Subscriber}
	if on == person {
		return []On{person}
	}
	return []On{person, on}
}

// Creates names the stream that a command is the first to write to. Enrolling is none: a consent may have been refused to somebody
// who was not enrolled yet.
func Creates(c Command) (On, bool) {
	_, ok := c.(Give)
	return c.on(), ok
}
