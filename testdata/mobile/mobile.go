// Package mobile carries what an operator feeds of one subscriber, for the demonstration, which runs where the repository is not.
package mobile

import "embed"

// Files are those of the README.
//
//go:embed *.csv README.md
var Files embed.FS
