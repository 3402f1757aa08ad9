//go:build unix

package load

import (
	"fmt"
	"syscall"
)

// raiseDescriptors makes room for so many open descriptors. The error says what the user can do.
func raiseDescriptors(need int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if uint64(limit.Cur) >= uint64(need) {
		return nil
	}
	was := limit.Max
	limit.Cur = descriptors(limit.Cur, need)
	if uint64(limit.Max) < uint64(need) {
		limit.Max = limit.Cur // only root may
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d open files are needed and %d are allowed: try `ulimit -n %d` as root, or LimitNOFILE= of the systemd unit: %w",
			need, was, need, err)
	}
	return nil
}

// descriptors is need in the type of a limit, which differs between systems.
func descriptors[T int64 | uint64](_ T, need int) T { return T(need) }
