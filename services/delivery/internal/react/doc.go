// Package react turns what offers, consent and delivery itself have decided into commands of shelves: agreements are taken and
// ended, packages prepared and sealed to other keys.
package react
