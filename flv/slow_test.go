package flv

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// stalled opens viewers that ask for the stream and do not read.
func stalled(t *testing.T, s *site, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		nc, err := net.Dial("tcp", s.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		if err := nc.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.0\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		conns[i] = nc
	}
	return conns
}

// gop sends a keyframe and n-1 other pictures.
func (p *source) gop(n int) {
	for i := range n {
		p.picture(i == 0)
	}
}

func TestAViewerThatFallsBehindContinuesAtAKeyframeAndOthersMissNothing(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, protocol.secure, Config{MaxBacklog: 1 << 20})
			src := s.publish(t)
			src.size = 20_000
			src.gop(1)
			slow, _ := protocol.watch(t, s, "")
			fast, _ := protocol.watch(t, s, "")
			s.waitForViewers(t, 2)
			quick, late := newReader(t, fast), newReader(t, slow)
			quick.flags()
			late.flags()
			// More than the sockets and the log's limit hold together.
			const gops, size = 60, 25
			for range gops {
				src.gop(size)
				for range size {
					quick.picture()
				}
			}
			if n, _ := quick.picture(); n != gops*size {
				t.Errorf("the viewer that reads is at picture %d, not %d", n, gops*size)
			}
			s.hub.Close()
			if n, _ := quick.picture(); n != -1 {
				t.Errorf("picture %d came after the last", n)
			}
			last, jumps := -1, 0
			for {
				n, keyframe := late.picture()
				if n < 0 {
					break
				}
				if n != last+1 {
					if jumps++; !keyframe || n < last {
						t.Errorf("after picture %d came %d, a keyframe: %t", last, n, keyframe)
					}
				}
				last = n
			}
			if jumps == 0 || last != gops*size {
				t.Errorf("the viewer that did not read jumped %d times and ended at picture %d", jumps, last)
			}
			if n := s.flv.Metrics().Jumps.Load(); int(n) != jumps {
				t.Errorf("%d jumps were counted, %d seen", n, jumps)
			}
		})
	}
}

func TestAViewerThatTakesNothingIsClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, Config{MaxBacklog: 1 << 20})
	src := s.publish(t)
	src.size = 20_000
	src.gop(1)
	began := time.Now()
	stalled(t, s, 3)
	s.waitForViewers(t, 3)
	for range 400 { // more than sockets hold
		src.gop(25)
		if s.flv.Metrics().Stalled.Load() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s.waitForViewers(t, 0)
	if n := s.flv.Metrics().Stalled.Load(); n != 3 {
		t.Errorf("%d of 3 were closed for taking nothing", n)
	}
	if waited := time.Since(began); waited < 9*time.Second {
		t.Errorf("closed after %v", waited)
	}
}

// TestStalledViewersHoldNoMemory has many viewers that take nothing while a stream goes on.
func TestAViewerOverHTTP2ThatTakesNothingIsClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t, true, Config{})
	src := s.publish(t)
	src.size = 100_000
	src.gop(1)
	watchHTTP(2)(t, s, "")
	s.waitForViewers(t, 1)
	src.gop(60) // more than its window
	began := time.Now()
	s.waitForViewers(t, 0)
	if n := s.flv.Metrics().Stalled.Load(); n != 1 || time.Since(began) < bytelog.StallTimeout/2 {
		t.Errorf("after %v %d were closed for taking nothing", time.Since(began), n)
	}
}

func TestStalledViewersHoldNoMemory(t *testing.T) {
	s := newSite(t, false, Config{MaxBacklog: 1 << 20})
	src := s.publish(t)
	src.size = 20_000
	src.gop(1)
	const viewers = 200
	stalled(t, s, viewers)
	s.waitForViewers(t, viewers)
	body, _ := watchHTTP(1)(t, s, "") // somebody reads all the while
	r := newReader(t, body)
	r.flags()
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	// Until no socket takes anything any more, which takes some steps of time.
	sent := 0
	send := func(bytes int) {
		for end := sent + bytes; sent < end; sent += 25 * src.size {
			src.gop(25)
			for range 25 {
				r.picture()
			}
		}
	}
	send(30 << 20)
	time.Sleep(2 * time.Second)
	send(2 << 20)
	time.Sleep(2 * time.Second)
	before := heap()
	send(60 << 20)
	time.Sleep(2 * time.Second)
	if grown := heap() - before; grown > 10<<20 {
		t.Errorf("the heap grew by %d MB while 60 MB went past %d stalled viewers", grown>>20, viewers)
	}
}
