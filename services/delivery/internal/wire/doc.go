// Package wire translates between delivery's domains and the contract: events and their states' rows, with what is personal
// sealed by the person's keys.
package wire
