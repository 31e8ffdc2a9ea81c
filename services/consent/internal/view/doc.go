// Package view keeps consent's tables: every consent as it stands, who has paused everything, and when consents end. It
// opens no seals: what is personal stays in the events, which the rows carry as they are.
package view
