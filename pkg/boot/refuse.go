package boot

import (
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

// Reasons for which the guard refuses, before any rule of the market is asked: names of the common Reason of the contract.
const (
	ReasonTokenMissing      = "TOKEN_MISSING"      // send one bearer token
	ReasonTokenInvalid      = "TOKEN_INVALID"      // it is not the issuer's, or not for us
	ReasonTokenExpired      = "TOKEN_EXPIRED"      // get a fresh one
	ReasonIssuerUnreachable = "ISSUER_UNREACHABLE" // the token cannot be verified now
	ReasonRoleDenied        = "ROLE_DENIED"        // no role of the caller's may call this
	ReasonNotOwner          = "NOT_OWNER"          // the request names somebody else
	ReasonRate              = "RATE_EXCEEDED"      // call less often
	ReasonTooLarge          = "MESSAGE_TOO_LARGE"  // send less at once
	ReasonIdle              = "STREAM_IDLE"        // nothing moved on the stream
	ReasonStopping          = "STOPPING"           // the server ends; connect again
)

var (
	errNoToken  = fault.Unauthenticated("one bearer token is needed").Named(ReasonTokenMissing)
	errBadToken = fault.Unauthenticated("the token is not signed by our issuer for us").Named(ReasonTokenInvalid)
	errExpired  = fault.Unauthenticated("the token has expired").Named(ReasonTokenExpired)
	errNoIssuer = fault.Unavailable("the token cannot be verified now").Named(ReasonIssuerUnreachable).After(time.Second)
	errStopping = fault.Unavailable("the server is stopping; connect again").Named(ReasonStopping)
	errPage     = fault.Invalid("page_token", "is none that this list gave")
)

func denied(m *Method) error {
	return fault.Denied(ReasonRoleDenied, "no role of the caller's may call this", fault.Fact{Name: "method", Text: m.Name})
}

func notOwner(m *Method) error {
	return fault.Denied(ReasonNotOwner, "the request must name the caller", fault.Fact{Name: "field", Text: m.Access.GetOwner()})
}

func tooLarge(m *Method) error {
	return fault.Exhausted(ReasonTooLarge, "the message is too large").And("max_bytes", m.Bytes)
}

// tooOften tells a caller its rate, and to wait for the next call's turn.
func tooOften(perSecond float64) error {
	return fault.Exhausted(ReasonRate, "too many calls").And("per_second", perSecond).After(time.Duration(float64(time.Second) / perSecond))
}

// tooSoon tells a caller its rate, and when a message's turn will come.
func tooSoon(perSecond float64, turn time.Duration) error {
	return fault.Exhausted(ReasonRate, "too much at once").And("per_second", perSecond).After(turn)
}

func idle(m *Method) error {
	return fault.Deadline("nothing has moved on the stream for too long").Named(ReasonIdle).And("limit", m.Deadline)
}

// Reasons lists those of the guard.
func Reasons() []string {
	return []string{
		ReasonTokenMissing, ReasonTokenInvalid, ReasonTokenExpired, ReasonIssuerUnreachable, ReasonRoleDenied, ReasonNotOwner, ReasonRate,
		ReasonTooLarge, ReasonIdle, ReasonStopping,
	}
}
