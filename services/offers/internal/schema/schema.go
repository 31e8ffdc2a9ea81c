// Package schema holds the tables of offers' projection; those of the log come with their packages.
package schema

import _ "embed"

// Market creates the tables, in whatever schema is the current one.
//
//go:embed market.sql
var Market string
