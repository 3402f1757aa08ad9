package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// vanish makes a connection half-open, as if its machine had lost its power: whatever comes is
// dropped before TCP sees it, so that nothing is acknowledged, answered or reset. A socket filter
// of one instruction does it, "take 0 bytes of the packet", and needs no privilege.
func vanish(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	var filterErr error
	err = raw.Control(func(fd uintptr) {
		filterErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
	if err := errors.Join(err, filterErr); err != nil {
		return fmt.Errorf("vanish: %w", err)
	}
	return nil
}

// closes returns an error if the server has not closed its end of a connection by the deadline.
// Who reads nothing, or gets nothing, does not see that; the kernel does.
func (s *server) closes(ctx context.Context, c *net.TCPConn, deadline time.Time) error {
	local := c.LocalAddr().(*net.TCPAddr).Port
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(peersAge): // so that the list is younger than the connection
		}
		peers, err := openPeers(c.RemoteAddr().(*net.TCPAddr).Port)
		if err != nil {
			return err
		}
		if !peers[local] {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("still open")
		}
	}
}

// peersAge is how old the kernel's list of connections may be: to read it is no small work.
const peersAge = 500 * time.Millisecond

// peerLists are the newest answers of openPeers by port.
var peerLists struct {
	sync.Mutex
	byPort map[int]peerList
}

type peerList struct {
	read  time.Time
	peers map[int]bool
}

// openPeers returns the ports from which there are connections to a port of this machine, by the
// kernel's list:
//
//	sl  local_address rem_address   st ...
//	 0: 0100007F:1F90 0100007F:C350 01 ...
func openPeers(port int) (map[int]bool, error) {
	peerLists.Lock()
	defer peerLists.Unlock()
	if l := peerLists.byPort[port]; time.Since(l.read) < peersAge {
		return l.peers, nil
	}
	list, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	const established = "01"
	local := fmt.Sprintf(":%04X", port)
	peers := make(map[int]bool)
	for line := range strings.Lines(string(list)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasSuffix(f[1], local) || f[3] != established {
			continue
		}
		_, remote, _ := strings.Cut(f[2], ":")
		n, err := strconv.ParseUint(remote, 16, 16)
		if err != nil {
			return nil, fmt.Errorf("read /proc/net/tcp: %w", err)
		}
		peers[int(n)] = true
	}
	if peerLists.byPort == nil {
		peerLists.byPort = make(map[int]peerList)
	}
	peerLists.byPort[port] = peerList{time.Now(), peers}
	return peers, nil
}
