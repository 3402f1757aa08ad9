package flv

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// vanish has a connection drop all that comes, below TCP: the other side hears nothing any more, as if the
// machine had lost its power.
func vanish(t *testing.T, nc net.Conn) {
	t.Helper()
	const (
		attachFilter = 26 // SO_ATTACH_FILTER
		ret          = 6  // BPF_RET | BPF_K
	)
	type program struct {
		n      uint16
		filter *[1]syscall.SockFilter
	}
	p := program{n: 1, filter: &[1]syscall.SockFilter{{Code: ret, K: 0}}}
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, attachFilter,
			uintptr(unsafe.Pointer(&p)), unsafe.Sizeof(p), 0)
	})
	if err != nil || errno != 0 {
		t.Fatalf("attach a filter: %v, %v", err, errno)
	}
}

// A stream of little bitrate would go into the kernel's buffer for minutes.
func TestAViewerThatHasVanishedIsFoundThoughTheKernelTakesWhatIsWritten(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, Config{})
	p := s.publish(t)
	p.picture(true)
	nc, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	s.waitForViewers(t, 1)
	vanish(t, nc)
	began := time.Now()
	for s.flv.Metrics().Viewers.Load() > 0 {
		if time.Since(began) > 4*bytelog.StallTimeout {
			t.Fatalf("still there after %v", time.Since(began))
		}
		time.Sleep(40 * time.Millisecond) // the rate of the pictures
		p.picture(p.number%50 == 0)
	}
	found := time.Since(began)
	if n := s.flv.Metrics().Stalled.Load(); n != 1 {
		t.Errorf("%d viewers were counted as stalled, want 1", n)
	}
	if found < bytelog.StallTimeout/2 {
		t.Errorf("found after %v: it has not vanished, it was cut", found)
	}
	t.Logf("found after %v", found)
}
