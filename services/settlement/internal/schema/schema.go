// Package schema holds the tables of settlement's projection; those of the log come with their packages.
package schema

import _ "embed"

// Ledger creates the tables, in whatever schema is the current one.
//
//go:embed ledger.sql
var Ledger string
