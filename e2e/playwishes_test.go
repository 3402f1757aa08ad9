package e2e

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// wisher is a player that says what it wants while it plays.
type wisher struct {
	t    *testing.T
	nc   net.Conn
	tail []byte // of what was read, in which a status may begin

	mu       sync.Mutex
	frames   []wishedFrame
	statuses map[string]int // how often each code came
	err      error
	changed  chan struct{} // closed and replaced at any change
}

type wishedFrame struct {
	frameID
	key bool
}

// startWisher begins to play.
func startWisher(t *testing.T, s *server, name string) *wisher {
	t.Helper()
	w := &wisher{t: t, statuses: map[string]int{}, changed: make(chan struct{})}
	c, err := rtmp.Dial(limit(t, startLimit), s.publishURL(name), rtmp.ClientConfig{
		ChunkSize: 128, // that of rtmpCommand
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := s.dialRTMP(ctx)
			w.nc = nc
			return wisherConn{nc, w}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Play(limit(t, startLimit)); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { w.read(c) })
	t.Cleanup(func() { _ = c.Close(); reading.Wait() })
	return w
}

// wisherConn looks for statuses in what is read.
type wisherConn struct {
	net.Conn
	w *wisher
}

func (c wisherConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.w.look(b[:n])
	return n, err
}

func (w *wisher) look(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := len(w.tail)
	w.tail = append(w.tail, b...)
	for _, code := range []string{"NetStream.Seek.Notify", "NetStream.Pause.Notify", "NetStream.Unpause.Notify"} {
		// What ended in the old part has been counted.
		if fresh := w.tail[max(0, old-len(code)+1):]; bytes.Contains(fresh, []byte(code)) {
			w.statuses[code] += bytes.Count(fresh, []byte(code))
		}
	}
	w.tail = bytes.Clone(w.tail[max(0, len(w.tail)-64):])
	w.change()
}

func (w *wisher) change() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wisher) read(c *rtmp.Client) {
	for {
		m, err := c.ReadMedia()
		w.mu.Lock()
		if err != nil {
			w.err = err
		} else if id, ok := liveFrame(int(m.Type), m.Payload); ok {
			w.frames = append(w.frames, wishedFrame{id, m.Type == rtmp.TypeVideo && m.Payload[0]>>4 == 1})
		}
		w.change()
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wish sends a command.
func (w *wisher) wish(values ...any) {
	w.t.Helper()
	if _, err := w.nc.Write(rtmpCommand(1, values...)); err != nil {
		w.t.Fatal(err)
	}
}

// until waits until there is enough, and returns all frames so far.
func (w *wisher) until(what string, enough func() bool) []wishedFrame {
	w.t.Helper()
	timeout := time.After(startLimit)
	for {
		w.mu.Lock()
		done, err, changed, frames := enough(), w.err, w.changed, w.frames
		w.mu.Unlock()
		if done {
			return frames
		}
		if err != nil {
			w.t.Fatalf("wait for %s: %v", what, err)
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("wait for %s: not after %v", what, startLimit)
		}
	}
}

// mark returns how many frames have come.
func (w *wisher) mark() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.frames)
}

// pictures waits for some pictures after a mark, and returns all frames from there.
func (w *wisher) pictures(from, n int) []wishedFrame {
	w.t.Helper()
	return w.until("pictures", func() bool { return len(numbers(w.frames[from:], rtmp.TypeVideo)) >= n })[from:]
}

func (w *wisher) status(code string) {
	w.t.Helper()
	w.until(code, func() bool { return w.statuses[code] > 0 })
}

func numbers(frames []wishedFrame, kind uint8) []int {
	var all []int
	for _, f := range frames {
		if f.kind == kind {
			all = append(all, f.number)
		}
	}
	return all
}

// TestRTMPPlayersGetWhatTheyWish has a player seek, leave out the video and pause.
func TestRTMPPlayersGetWhatTheyWish(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	const name = "wishes"
	live := startLive(t, s, name)
	w := startWisher(t, s, name)
	w.pictures(0, 1)

	for _, harmless := range [][]any{
		{"seek", 12.0, nil, 5000.0}, {"seek", 0.0}, {"getStreamLength", 14.0, nil, name}, {"pause", 15.0}, {"receiveAudio", 0.0, nil},
	} {
		w.wish(harmless...)
	}
	w.status("NetStream.Seek.Notify")
	frames := w.pictures(0, w.mark()+livePictureRate)
	report(t, "after a seek", append(inARow("picture", numbers(frames, rtmp.TypeVideo)), inARow("sound", numbers(frames, rtmp.TypeAudio))...))

	w.wish("receiveVideo", 0.0, nil, false)
	w.until("sound alone", func() bool {
		return len(w.frames) > 60 && len(numbers(w.frames[len(w.frames)-60:], rtmp.TypeVideo)) == 0
	})
	mark := w.mark()
	w.wish("receiveVideo", 0.0, nil, true)
	frames = w.pictures(mark, 10)
	report(t, "with video again", append(inARow("picture", numbers(frames, rtmp.TypeVideo)), inARow("sound", numbers(frames, rtmp.TypeAudio))...))
	if first := firstPicture(frames); !first.key {
		t.Errorf("video begins again with picture %d, which is no keyframe", first.number)
	}

	w.wish("pause", 0.0, nil, true, 1000.0)
	w.status("NetStream.Pause.Notify")
	time.Sleep(time.Second) // which is the pause
	mark = w.mark()
	w.wish("pause", 0.0, nil, false, 2000.0)
	w.status("NetStream.Unpause.Notify")
	frames = w.pictures(mark, 10)
	if !frames[0].key {
		t.Errorf("after the pause comes frame %d of type %d, which is no keyframe", frames[0].number, frames[0].kind)
	}
	seen := numbers(w.pictures(0, 1)[:mark], rtmp.TypeVideo)
	if last, next := seen[len(seen)-1], firstPicture(frames); next.number <= last+1 {
		t.Errorf("picture %d follows %d over a pause of a second", next.number, last)
	}
	report(t, "after the pause", append(inARow("picture", numbers(frames, rtmp.TypeVideo)), inARow("sound", numbers(frames, rtmp.TypeAudio))...))
	live.finish(t)
}

func firstPicture(frames []wishedFrame) wishedFrame {
	for _, f := range frames {
		if f.kind == rtmp.TypeVideo {
			return f
		}
	}
	return wishedFrame{}
}
