package e2e

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oldKernel is set in the environment of a process that runs another program, which its arguments name, as a kernel
// before Linux 6.5 would: without cachestat.
const oldKernel = "E2E_OLD_KERNEL"

// sysCachestat has this number wherever Headwater is built for Linux.
const sysCachestat = 451

// onOldKernel returns the command that runs another one so.
func onOldKernel(command ...string) []string {
	return append([]string{"/usr/bin/env", oldKernel + "=1", os.Args[0]}, command...)
}

// runOnOldKernel becomes the program, or returns why it cannot.
func runOnOldKernel(command []string) error {
	if len(command) == 0 {
		return errors.New("no command")
	}
	runtime.LockOSThread() // the filter is this thread's, which is the one that goes on
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: sysCachestat, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("take a system call away: %w", err)
	}
	return syscall.Exec(command[0], command, os.Environ())
}
