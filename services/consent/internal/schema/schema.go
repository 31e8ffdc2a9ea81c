// Package schema holds the tables of consent's projection; those of the log come with their packages.
package schema

import _ "embed"

// People creates the tables, in whatever schema is the current one.
//
//go:embed people.sql
var People string
