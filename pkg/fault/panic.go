package fault

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Panic is what may be told of a panic: the type of its value and where it was, never the value nor any argument, which may be
// somebody's data.
type Panic struct {
	// Type of the value, as in "string" or "runtime.boundsError".
	Type string
	// Stack has a line for each function, innermost first: its name, its file and line.
	Stack string
}

// deepest is how many functions of a stack are told.
const deepest = 48

// PanicOf tells of a panic with this value. Call it from the deferred function that recovered.
func PanicOf(value any) Panic {
	var at [deepest]uintptr
	var b strings.Builder
	frames := runtime.CallersFrames(at[:runtime.Callers(2, at[:])])
	for more := true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			fmt.Fprintf(&b, "%s %s:%d\n", f.Function, path.Base(f.File), f.Line)
		}
	}
	return Panic{Type: fmt.Sprintf("%T", value), Stack: strings.TrimSuffix(b.String(), "\n")}
}

// String is both.
func (p Panic) String() string { return p.Type + "\n" + p.Stack }
