// Package rpc serves offers' contract: buyers and bids on one side, on the other offers computed for the person who asks. What
// consent and delivery say of that person is asked for each call and kept nowhere.
package rpc
