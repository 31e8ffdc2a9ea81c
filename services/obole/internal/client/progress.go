package client

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Progress shows how far long work has come: a bar where somebody watches, a line when it is done elsewhere.
type Progress struct {
	out     io.Writer
	what    string
	of      int
	watched bool

	mu  sync.Mutex
	now int
}

// Progress begins to show work of so many parts.
func (s *Session) Progress(what string, of int) *Progress {
	p := &Progress{out: s.Err, what: what, of: of}
	if f, ok := s.Err.(*os.File); ok {
		fi, err := f.Stat()
		p.watched = err == nil && fi.Mode()&os.ModeCharDevice != 0
	}
	p.show()
	return p
}

// width of the bar, in characters.
const width = 30

func (p *Progress) show() {
	if !p.watched {
		return
	}
	full := width
	if p.of > 0 {
		full = width * p.now / p.of
	}
	fmt.Fprintf(p.out, "\r%-34s [%s%s] %d/%d", p.what, strings.Repeat("=", full), strings.Repeat(" ", width-full), p.now, p.of)
}

// Step says that one more part is done; from any goroutine.
func (p *Progress) Step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now++
	p.show()
}

// Done ends the bar.
func (p *Progress) Done() {
	if p.watched {
		fmt.Fprintln(p.out)
		return
	}
	fmt.Fprintf(p.out, "%s: %d\n", p.what, p.now)
}
