// Package rpc serves delivery's contract: measurements in, packages out, and the key last, behind consent's gate.
package rpc
