// Package bandicoot carries the extract that lies beside it, for the demonstration, which runs where the repository is not.
package bandicoot

import "embed"

// Files are those of the README.
//
//go:embed *.csv README.md LICENSE
var Files embed.FS
