// Package openmhealth carries the published JSON Schemas of the data points that are taken here.
package openmhealth

import "embed"

// Schemas holds schema/omh and schema/ieee, unchanged; README.md says whence they are.
//
//go:embed schema
var Schemas embed.FS
