// Package party decides which buyers the gate refuses, whatever a person has consented to. Its root is the buyer.
package party
