// Package holding decides what a person's data come from: their sources, what was imported, and what rules say of it. Its root is
// the person; its children are the sources. The measurements themselves are no events: they are kept beside the log, where
// they can be erased.
package holding
