// Package token knows callers by their bearer tokens, and gets a service's own. A token is an OpenID Connect issuer's
// signed JWT with a subject, an audience, an expiry and a list of roles; any issuer will do.
//
// Verifying a signature costs some 40 us, a call some 50: a Verifier remembers what it has verified, until it
// expires. It is not an authorisation engine: what a role may do, the contract says (package boot).
package token
