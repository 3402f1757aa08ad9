package fanout

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// crowd is viewers that only take: one thread, one epoll, and the kernel throws the bytes away.
type crowd struct {
	epoll int
	got   []atomic.Int64 // bytes, by viewer
	lost  atomic.Int64   // connections that ended
	stop  atomic.Bool
	files []*os.File
	ended chan struct{}
	once  sync.Once
}

// gather opens n viewers with dial and begins to read from them.
func gather(b *testing.B, n int, dial func() (net.Conn, error)) *crowd {
	b.Helper()
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		b.Fatal(err)
	}
	c := &crowd{epoll: epoll, got: make([]atomic.Int64, n), files: make([]*os.File, n), ended: make(chan struct{})}
	go c.read()
	b.Cleanup(c.close)
	var dialling sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range n {
		slots <- struct{}{}
		dialling.Go(func() {
			defer func() { <-slots }()
			if err := c.add(i, dial); err != nil {
				b.Errorf("viewer %d: %v", i, err)
			}
		})
	}
	dialling.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return c
}

// add opens a viewer and takes its socket away from Go's own poller.
func (c *crowd) add(i int, dial func() (net.Conn, error)) error {
	nc, err := dial()
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	file, err := nc.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	c.files[i] = file
	fd := int(file.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd), Pad: int32(i)}
	return syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, fd, &event)
}

func (c *crowd) read() {
	runtime.LockOSThread()
	defer close(c.ended)
	events := make([]syscall.EpollEvent, 1024)
	for !c.stop.Load() {
		n, err := syscall.EpollWait(c.epoll, events, 100)
		if err != nil && err != syscall.EINTR {
			return
		}
		for _, e := range events[:max(n, 0)] {
			// For TCP, MSG_TRUNC discards (tcp(7)).
			got, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(e.Fd), 0, 1<<20,
				syscall.MSG_TRUNC|syscall.MSG_DONTWAIT, 0, 0)
			switch {
			case errno == syscall.EAGAIN:
			case errno != 0 || got == 0:
				c.lost.Add(1)
				_ = syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_DEL, int(e.Fd), nil)
			default:
				c.got[e.Pad].Add(int64(got))
			}
		}
	}
}

// total returns the bytes that all viewers have got.
func (c *crowd) total() (n int64) {
	for i := range c.got {
		n += c.got[i].Load()
	}
	return n
}

func (c *crowd) close() { c.once.Do(c.end) }

func (c *crowd) end() {
	c.stop.Store(true)
	<-c.ended
	for _, file := range c.files {
		if file != nil {
			_ = file.Close()
		}
	}
	_ = syscall.Close(c.epoll)
}

// httpViewer asks for a URL over HTTP/1.1.
func httpViewer(rawURL string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		u, err := url.Parse(rawURL)
		if err != nil {
			return nil, err
		}
		nc, err := net.Dial("tcp", u.Host)
		if err != nil {
			return nil, err
		}
		_, err = fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", u.Path, upgrade(u))
		return nc, err
	}
}

// upgrade are the headers that a WebSocket needs.
func upgrade(u *url.URL) string {
	if u.Scheme != "ws" {
		return ""
	}
	return "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
}

// rtmpViewer plays a URL until the stream begins.
func rtmpViewer(rawURL string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		var nc net.Conn
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		c, err := rtmp.Dial(ctx, rawURL, rtmp.ClientConfig{
			Dial: func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
				nc, err = new(net.Dialer).DialContext(ctx, network, addr)
				return nc, err
			},
		})
		if err != nil {
			return nil, err
		}
		if err := c.Play(ctx); err != nil {
			return nil, err
		}
		return nc, nil
	}
}

// plainViewer reads what comes.
func plainViewer(addr string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.Dial("tcp", addr) }
}

// readFull is io.ReadFull with the buffer made for it.
func readFull(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// each returns the bytes that each viewer has got.
func (c *crowd) each() []int64 {
	n := make([]int64, len(c.got))
	for i := range c.got {
		n[i] = c.got[i].Load()
	}
	return n
}

// compare checks that every viewer has got what the stream brought since start.
func (c *crowd) compare(b *testing.B, start []int64, passed time.Duration, s stream) {
	b.Helper()
	const late = 2 // seconds that a viewer may be behind at the end
	want := int64((passed.Seconds() - late) * s.perSecond())
	for i, n := range c.each() {
		if n-start[i] < want {
			b.Errorf("viewer %d has got %d bytes in %v, want %d", i, n-start[i], passed, want)
		}
	}
}
