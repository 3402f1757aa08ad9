package fanout

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// overloadViewers watch while the server gets next to no processor: it is stopped for starved, and runs
	// for fed, again and again. To it this is a machine with far too much else to do.
	overloadViewers = 50
	starved         = 600 * time.Millisecond
	fed             = 40 * time.Millisecond
	rounds          = 8
	// caughtUp is how long the viewers may take to get everything after that.
	caughtUp = 30 * time.Second
)

// Under overload a server that writes at once writes more at a time, to everybody, and cuts nobody.
func TestUnderOverloadWritesGrowAndNobodyIsCut(t *testing.T) {
	s := start(t, "--flv.latency=0s")
	stream2600.publish(t.Context(), t, "rtmp://"+s.rtmp+"/live/x")
	var watching sync.WaitGroup
	var conns []net.Conn
	stop := make(chan struct{})
	defer func() {
		close(stop)
		for _, nc := range conns {
			_ = nc.Close()
		}
		watching.Wait()
	}()
	watchers := make([]*watcher, overloadViewers)
	for i := range watchers {
		nc, err := httpViewer("ws://" + s.http + "/live/x.flv")()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, nc)
		w := &watcher{name: fmt.Sprintf("viewer %d", i)}
		watchers[i] = w
		watching.Go(func() {
			if err := w.watch(bufio.NewReaderSize(nc, 64<<10), stop); err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
		})
	}
	await(t, watchers, "begin", func(w *watcher) bool { return w.last > 0 })
	at := watchers[0].reset()
	for _, w := range watchers {
		w.reset()
	}
	cpu := ranFor(t, s.pid)
	await(t, watchers, "go on", func(w *watcher) bool { return w.last > at+90 })
	before, costBefore := watchers[0].travelled(), perGB(ranFor(t, s.pid)-cpu, watchers)

	newest := uint64(0)
	for _, w := range watchers {
		newest = max(newest, w.reset())
	}
	cpu = ranFor(t, s.pid)
	began := time.Now()
	for range rounds {
		starve(t, s.pid, starved, fed)
	}
	published := newest + uint64(30*time.Since(began).Seconds())
	await(t, watchers, "catch up", func(w *watcher) bool { return w.last >= published })
	costUnder := perGB(ranFor(t, s.pid)-cpu, watchers)
	under := make([]float64, len(watchers))
	for i, w := range watchers {
		under[i] = w.travelled()
	}

	t.Logf("the message that a byte travels in has %.0f bytes before, %.0f under overload", before, under[0])
	t.Logf("a gigabyte costs %.2f s of processor before, %.2f under overload", costBefore, costUnder)
	if costUnder >= costBefore { // it is a third
		t.Errorf("a gigabyte costs %.2f s of processor under overload, %.2f before", costUnder, costBefore)
	}
	for i, size := range under {
		if least := 4 * float64(stream2600.picture); size < least {
			t.Errorf("viewer %d: the message that a byte travels in has %.0f bytes, want %.0f or more", i, size, least)
		}
	}
	for _, name := range []string{
		`headwater_viewer_jumps_total{protocol="flv"}`,
		`headwater_viewers_closed_slow_total{protocol="flv",reason="behind"}`,
		`headwater_viewers_closed_slow_total{protocol="flv",reason="stalled"}`,
	} {
		if n := s.metric(t, name); n != 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
}

// starve stops a process for a time and lets it run for another.
func starve(t testing.TB, pid int, starved, fed time.Duration) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	time.Sleep(starved)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Error(err)
	}
	time.Sleep(fed)
}

// await waits until something is true of all.
func await(t *testing.T, watchers []*watcher, what string, is func(*watcher) bool) {
	t.Helper()
	for _, w := range watchers {
		for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			w.mu.Lock()
			done := is(w)
			w.mu.Unlock()
			if done {
				break
			}
			if time.Since(began) > caughtUp {
				t.Fatalf("%s does not %s", w.name, what)
			}
		}
	}
}

// watcher is a viewer over WebSocket, where each write is a message, that looks at all it gets.
type watcher struct {
	name string

	mu            sync.Mutex
	last          uint64  // number of the newest picture
	bytes, square float64 // sums over the messages
}

// perGB returns what a gigabyte cost that watchers have got since they were reset, in seconds of processor.
func perGB(cpu time.Duration, watchers []*watcher) float64 {
	sum := 0.0
	for _, w := range watchers {
		w.mu.Lock()
		sum += w.bytes
		w.mu.Unlock()
	}
	return cpu.Seconds() / (sum / 1e9)
}

// reset begins to sum anew, and returns the newest picture's number.
func (w *watcher) reset() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes, w.square = 0, 0
	return w.last
}

// travelled returns how large the message is, on average, that a byte travels in.
func (w *watcher) travelled() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.square / max(w.bytes, 1)
}

// watch reads messages until stop is closed. The connection's end before that is an error, and so is a
// missing picture.
func (w *watcher) watch(in *bufio.Reader, stop <-chan struct{}) error {
	err := w.read(in)
	select {
	case <-stop:
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
			return nil
		}
	default:
	}
	return err
}

func (w *watcher) read(in *bufio.Reader) error {
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return err
		}
	}
	for {
		message, err := readMessage(in)
		if err != nil {
			return err
		}
		if err := w.message(message); err != nil {
			return err
		}
	}
}

// readMessage reads a frame of a server, unmasked and of one piece (RFC 6455, 5.2).
func readMessage(in *bufio.Reader) ([]byte, error) {
	head, err := readFull(in, 2)
	if err != nil {
		return nil, err
	}
	size := int(head[1])
	if wide := map[int]int{126: 2, 127: 8}[size]; wide > 0 {
		b, err := readFull(in, wide)
		if err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint64(append(make([]byte, 8-wide, 8), b...)))
	}
	return readFull(in, size)
}

// message takes the tags of a message, which are whole.
func (w *watcher) message(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += float64(len(b))
	w.square += float64(len(b)) * float64(len(b))
	if strings.HasPrefix(string(b[:min(3, len(b))]), "FLV") {
		b = b[13:]
	}
	for len(b) > 0 {
		size := 11 + (int(b[1])<<16 | int(b[2])<<8 | int(b[3])) + 4
		if b[0] == 9 && b[12] == 1 {
			index := binary.BigEndian.Uint64(b[11+indexAt:])
			if w.last > 0 && index != w.last+1 {
				return fmt.Errorf("picture %d comes after %d", index, w.last)
			}
			w.last = index
		}
		b = b[size:]
	}
	return nil
}
