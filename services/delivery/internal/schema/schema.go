// Package schema holds the tables of delivery's projection, and those of what is kept beside the log: measurements and packages.
package schema

import "embed"

// Shelves creates the projection's tables, in whatever schema is the current one.
//
//go:embed shelves.sql
var Shelves string

// Store creates the tables of package store, in the schema of that name.
//
//go:embed store/*.sql
var Store embed.FS
