//go:build !linux

package child

import "syscall"

// attributes has no signal for orphans: other kernels know none. Who starts next has to stop what was left.
func attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
