// Package fault says why something was not done, so that the caller knows what to do next.
//
// A fault has a Kind, from a closed set that maps onto gRPC's codes; a Reason, the name of the context's Reason enum
// without its REASON_ prefix; a message for people; and Facts: which field, which rule, which bound. None of it may say
// anything about a person, for faults end in logs and in other people's terminals.
//
//	var ErrLimit = fault.Refuse("LIMIT", "the limit of agreements at once is reached")
//
//	return ErrLimit.And("limit", 5)                // errors.Is(err, ErrLimit) stays true
//	return fault.Invalid("slots.first", "is after the last day")
//	if errors.Is(err, fault.KindUnavailable) { ... }
//
// Faults are values: no method changes its receiver, so package-level sentinels are safe to share. A function whose
// result is an error should not return a nil *Error in it.
//
// Package fault/grpcfault turns faults into gRPC statuses and back. This package is not a stack of wrapped texts: what
// lies behind a fault (Because) is for this process's log and never part of its text.
package fault
