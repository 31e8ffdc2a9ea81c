package fault

// Kind says what sort of failure it is, and so what the caller may do. It is an error itself, so that
// errors.Is(err, fault.KindNotFound) asks for it.
type Kind uint8

// Kinds. The set is closed; each has one gRPC code.
const (
	// KindInternal: a defect or something nobody has classified. Callers learn nothing more.
	KindInternal Kind = iota
	// KindInvalid: the request is wrong by itself, whatever the state. Facts name fields.
	KindInvalid
	// KindNotFound: what the request names does not exist, or not for this caller.
	KindNotFound
	// KindExists: it exists already, with other content.
	KindExists
	// KindConflict: another one came first. Read again, then decide again.
	KindConflict
	// KindUnauthenticated: nobody known is calling.
	KindUnauthenticated
	// KindDenied: this caller may not.
	KindDenied
	// KindPrecondition: a rule refuses it in the present state. Facts name the rule. Retrying alone does not help.
	KindPrecondition
	// KindExhausted: too much or too often. Retry later.
	KindExhausted
	// KindUnavailable: it cannot be done here or now. Retry with the same idempotency key.
	KindUnavailable
	// KindDeadline: the time was over first; whether it was done is unknown. Retry with the same idempotency key.
	KindDeadline
	// KindCanceled: the caller went away.
	KindCanceled
	// KindUnimplemented: this server does not do that.
	KindUnimplemented
	// kinds is how many there are.
	kinds
)

var kindNames = [kinds]string{
	KindInternal:        "internal",
	KindInvalid:         "invalid",
	KindNotFound:        "not found",
	KindExists:          "exists",
	KindConflict:        "conflict",
	KindUnauthenticated: "unauthenticated",
	KindDenied:          "denied",
	KindPrecondition:    "refused",
	KindExhausted:       "exhausted",
	KindUnavailable:     "unavailable",
	KindDeadline:        "deadline",
	KindCanceled:        "canceled",
	KindUnimplemented:   "unimplemented",
}

// Kinds lists the closed set.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// String names the kind in a word or two.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return kindNames[KindInternal]
}

// Error makes a kind a target of errors.Is.
func (k Kind) Error() string { return k.String() }

// Transient says whether the same request may succeed later without anybody doing anything about it.
func (k Kind) Transient() bool {
	switch k {
	case KindExhausted, KindUnavailable, KindDeadline, KindConflict:
		return true
	default:
		return false
	}
}
