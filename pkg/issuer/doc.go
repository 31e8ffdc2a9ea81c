// Package issuer is an OpenID Connect issuer for one machine: who runs the embedded default, a demonstration or a test
// has real tokens to sign in with, and no account anywhere. It knows discovery, keys, the authorization code with PKCE
// (S256), client credentials, and RS256; it keeps its key and the secrets of its clients in a folder.
//
// It is not for production: whoever reaches its page signs in as any of its principals, without a password. It
// therefore refuses to listen beyond the loopback unless told to.
package issuer
