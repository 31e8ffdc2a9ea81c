package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse says that another process runs on the same folder.
var ErrInUse = errors.New("in use by another process")

// Take takes a folder for this process, for who keeps several of these in one: what else lies there is then nobody else's. The
// folder is made when missing. give returns it; ErrInUse says that another process has it.
func Take(dir string) (give func() error, err error) {
	if err := os.MkdirAll(dir, 0o711); err != nil { // entered, not read, by the database's own user
		return nil, fmt.Errorf("embedded: %w", err)
	}
	f, err := lock(dir)
	if err != nil {
		return nil, err
	}
	return func() error { return unlock(f) }, nil
}

// lock takes a folder for this process. The kernel gives it back when the process ends, however it ends. The file
// stays, with the number of the last owner in it for the message that the next one gets.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(f, 32)) // only for the message
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("embedded: %s is %w (%s): stop that one first, or choose another folder",
				dir, ErrInUse, strings.TrimSpace(string(owner)))
		}
		return nil, fmt.Errorf("embedded: lock %s: %w", f.Name(), err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "process %d\n", os.Getpid())
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// unlock gives the folder back. Closing alone would not do at once: a program being started at this moment holds the
// same open file until it is another program.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
