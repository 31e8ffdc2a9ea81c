// Package view keeps the market's tables: buyers, bids and offers as they stand, and what must be decided when. It answers who
// may be shown what by product, so that a person's question costs what the person sees and not what the market holds.
package view
