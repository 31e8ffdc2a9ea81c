package child

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// User is somebody without privileges. The nil User is who we are.
type User struct {
	Name     string
	uid, gid int
}

// Unprivileged is who runs what refuses to be run by root: nil when we are not root, else the first of the names that
// this machine knows.
func Unprivileged(names ...string) (*User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid != 0 {
			return &User{Name: name, uid: uid, gid: gid}, nil
		}
	}
	return nil, fmt.Errorf("running as root, and this machine has none of the users %v to run a program without privileges", names)
}

func (u *User) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.gid)}
}

// Own gives a file or folder to the user.
func (u *User) Own(path string) error {
	if u == nil {
		return nil
	}
	return os.Chown(path, u.uid, u.gid)
}

// Reach refuses a folder that the user cannot get to, naming the folder in the way.
func (u *User) Reach(path string) error {
	if u == nil {
		return nil
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		enter := fi.Mode().Perm() & 0o001
		if int(st.Gid) == u.gid {
			enter = fi.Mode().Perm() & 0o010
		}
		if int(st.Uid) == u.uid {
			enter = fi.Mode().Perm() & 0o100
		}
		if enter == 0 {
			return fmt.Errorf("user %s cannot enter %s, on the way to %s: choose another folder", u.Name, dir, path)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
