package vault

import "github.com/obole-market/obole/pkg/fault"

var (
	// ErrErased: the person's key of this class is gone for good; nothing can be sealed for them under it.
	ErrErased = fault.Refuse("", "vault: the person's key of this class was erased")
	// ErrKeyUnknown: no such key among those at hand. Fetch fresh ones; if it stays, the event is another service's.
	ErrKeyUnknown = fault.Unavailable("vault: no key of this id is at hand")
	// ErrUnavailable: the key store cannot be reached. Retry later.
	ErrUnavailable = fault.Unavailable("vault: the key store cannot be reached")
	// ErrKEK: a data key is wrapped by a key-encryption key that this process was not given. Configure it, or rewrap.
	ErrKEK = fault.Unavailable("vault: the key-encryption key of a stored key is not configured")
	// ErrTampered: a box does not open: it, its key's row, or what it is bound to was altered.
	ErrTampered = fault.Internal("vault: a sealed value does not open; it or its binding was altered")
	// ErrClear: a stored event carries a personal field in clear.
	ErrClear = fault.Internal("vault: a personal field stands in clear")
	// ErrContract: the contract has a personal field that sealing cannot reach; Audit names it.
	ErrContract = fault.Internal("vault: a personal field lies where it cannot be sealed")
	// ErrClass: a retention class that has no keys.
	ErrClass = fault.Internal("vault: not a retention class")
	// ErrKeyFile: a key file is missing, readable by others, or not a key.
	ErrKeyFile = fault.Internal("vault: no usable key file")
)
