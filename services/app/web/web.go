// Package web holds the page as it is built, so that the edge is one file and nobody needs Node to run it.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Dist is the folder of the built page.
func Dist() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: " + err.Error()) // a constant name that is there
	}
	return sub
}
