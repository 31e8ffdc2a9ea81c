// Package esmem is an event log in memory: for tests, examples and simulations. It keeps the promises of es.Log word for
// word, and package estest proves that it does, except that nothing of it outlives the process.
//
// One Log may serve any number of engines, as one database does. Its clock is injected:
//
//	log := esmem.New(4, time.Now)
//	engine := es.New(log, es.Options{Service: "offers"})
package esmem
