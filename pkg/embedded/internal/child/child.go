// Package child runs programs that must not outlive us: they have a process group of their own, so that a Ctrl-C at
// the terminal reaches only us, and on Linux the kernel signals them when we die, whatever we die of.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Options say what to run. Path is required.
type Options struct {
	Path string
	Args []string
	Dir  string   // folder to run in; empty means ours
	Env  []string // whole environment; nil means ours
	User *User    // who runs it; nil means us
	Log  string   // file that output is appended to; empty drops it
	// Orphaned is the signal that the kernel sends when we die; 0 means SIGKILL.
	Orphaned syscall.Signal
}

// Process is a running or ended child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of the exit; read after done
	log  string
}

// Start runs the program.
func Start(o Options) (*Process, error) {
	cmd := exec.Command(o.Path, o.Args...)
	cmd.Dir, cmd.Env = o.Dir, o.Env
	if o.Orphaned == 0 {
		o.Orphaned = syscall.SIGKILL
	}
	cmd.SysProcAttr = attributes(o.Orphaned)
	cmd.SysProcAttr.Credential = o.User.credential()
	if o.Log != "" {
		f, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
	}
	p := &Process{cmd: cmd, done: make(chan struct{}), log: o.Log}
	started := make(chan error)
	go func() {
		// The kernel sends the signal of orphans when the thread that forked ends, so that thread stays until the
		// child has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Run starts the program and waits for its end. The error holds the end of its output.
func Run(ctx context.Context, o Options) error {
	p, err := Start(o)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return ctx.Err()
	}
	return p.Err()
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the end and says what went wrong, with the last lines of the output.
func (p *Process) Err() error {
	<-p.done
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w%s", p.cmd.Path, p.err, p.Tail())
}

// Tail is the end of the output, each line after a line break, for error messages.
func (p *Process) Tail() string {
	const most = 12
	b, err := os.ReadFile(p.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	return "\n\t" + strings.Join(lines, "\n\t")
}

// Signal sends a signal; an ended process ignores it.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill ends the process at once and waits until it has gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.done
}

// Stop sends a signal and waits for the end. A process that is still there when ctx is over is killed, which is an error.
func (p *Process) Stop(ctx context.Context, s syscall.Signal) error {
	if err := p.Signal(s); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s did not stop in time and was killed", p.cmd.Path)
	}
}
