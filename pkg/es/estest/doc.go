// Package estest is the suite that every es.Log passes under an es.Engine, and the root that it plays with: jars, whose
// streams hold amounts that can be put in and poured over.
package estest
