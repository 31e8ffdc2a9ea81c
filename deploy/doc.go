// Package deploy holds what a service finds around it: the topics, the databases with their roles, the configuration of
// each process. The files beside it are for operators and their tools; the functions here do the same from Go, for the
// all-in-one and for tests.
package deploy
