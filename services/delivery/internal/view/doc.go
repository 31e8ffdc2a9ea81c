// Package view keeps delivery's tables: sources and imports, agreements, deliveries as they stand, and what falls due. It opens no
// seals: what is personal stays in the events, which the rows carry as they are.
package view
