// Package systemd speaks the two small protocols with which systemd starts a daemon: sockets that were
// bound before it started (sd_listen_fds(3)) and notifications of its state (sd_notify(3)). Without
// systemd both do nothing. In the same way a process hands its sockets over to the next one (handover.go).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// firstSocket is the number of the first passed descriptor: SD_LISTEN_FDS_START.
const firstSocket = 3

// maxSockets is how many descriptors are taken. Headwater has five listeners, each of which may be
// passed for more than one address family.
const maxSockets = 16

// Sockets are the listeners that systemd has bound, by the FileDescriptorName= of their socket unit.
type Sockets map[string]net.Listener

// Inherit takes over the sockets that LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES tell of. There are none
// if the variables are absent or meant for another process. The variables are removed, so that no child
// takes the sockets for its own. It fails if a descriptor is no listening stream socket or if a name is
// missing, unknown or there twice; known are the names that a listener can have.
func Inherit(known ...string) (Sockets, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	if !isForMe(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("take over sockets: LISTEN_FDS is not a number from 0 to %d", maxSockets)
	}
	return take(firstSocket, n, strings.Split(names, ":"), known)
}

// take makes listeners of n descriptors from first on.
func take(first, n int, names, known []string) (Sockets, error) {
	sockets := Sockets{}
	var errs []error
	for i := range n {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		// The listener is a duplicate that children do not inherit.
		f := os.NewFile(uintptr(first+i), name)
		if f == nil {
			errs = append(errs, fmt.Errorf("take over socket %d (%q): no such descriptor", first+i, name))
			continue
		}
		l, err := net.FileListener(f)
		_ = f.Close() // the listener stays
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("take over socket %d (%q): %w", first+i, name, err))
		case !slices.Contains(known, name):
			errs = append(errs, fmt.Errorf("take over socket %d: its FileDescriptorName is %q, not one of %s",
				first+i, name, strings.Join(known, ", ")))
			_ = l.Close()
		case sockets[name] != nil:
			errs = append(errs, fmt.Errorf("take over socket %d: a second one is named %q", first+i, name))
			_ = l.Close()
		default:
			sockets[name] = l
		}
	}
	if err := errors.Join(errs...); err != nil {
		sockets.Close()
		return nil, err
	}
	return sockets, nil
}

// Take returns the socket of that name, which is the caller's from then on; nil if there is none.
func (s Sockets) Take(name string) net.Listener {
	l := s[name]
	delete(s, name)
	return l
}

// Close closes the sockets that nobody has asked for.
func (s Sockets) Close() {
	for name, l := range s {
		_ = l.Close()
		delete(s, name)
	}
}

// MainPID is the state that another process is the service's from now on.
func MainPID(pid int) string { return "MAINPID=" + strconv.Itoa(pid) }

// States that a service tells, see sd_notify(3).
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Notify tells the state to the socket that NOTIFY_SOCKET names; without one it does nothing.
func Notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close() //nolint:errcheck // a datagram is sent or was not
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
