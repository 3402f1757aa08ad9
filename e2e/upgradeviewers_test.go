package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// TestViewersAreNotCutByUpgrades has four viewers watch, each by a protocol of its own, while processes hand over to
// others. Each sees all frames that the publisher could send, in order, on one connection; then nothing is left of the
// old processes.
func TestViewersAreNotCutByUpgrades(t *testing.T) {
	t.Parallel()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "headwater")
	install(t, path, program)
	s := launch(t, t.TempDir(), []string{program}, "--hls.segment", "1s",
		"--rtmp.idle_timeout", "5m") // the player over RTMP answers no pings
	pid := s.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // the newest process; before the server's own check
	s.excuse("times go on where another process does", "discontinuity-needless")
	ctx := limit(t, 3*time.Minute)
	p := publishNumbered(ctx, t, s.publishURL("test"))

	watching, leave := context.WithCancel(ctx)
	viewers := map[string]*numberedViewer{}
	var all sync.WaitGroup
	over := func(url string, read func(*numberedViewer, io.Reader) error) func(context.Context, *numberedViewer) error {
		return func(ctx context.Context, v *numberedViewer) error {
			body := open(ctx, t, "GET", url).Body
			defer context.AfterFunc(ctx, func() { _ = body.Close() })() // a WebSocket's does not end with its context
			return read(v, body)
		}
	}
	for name, read := range map[string]func(context.Context, *numberedViewer) error{
		"HTTP-FLV":  over(s.flvURL("test"), (*numberedViewer).readFLV),
		"WebSocket": over("ws"+strings.TrimPrefix(s.flvURL("test"), "http"), (*numberedViewer).readSocket),
		"TS":        over(s.tsURL("test"), (*numberedViewer).readTS),
		"RTMP":      func(ctx context.Context, v *numberedViewer) error { return v.readRTMP(ctx, t, s) },
	} {
		v := newNumberedViewer(name, p)
		viewers[name] = v
		all.Go(func() {
			if err := read(watching, v); watching.Err() == nil {
				t.Errorf("%s: the viewer was cut: %v", name, err)
			}
		})
	}
	t.Cleanup(func() { leave(); all.Wait() })
	everybody := func(frames int) {
		t.Helper()
		for name, v := range viewers {
			if err := v.await(ctx, frames); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	everybody(p.sentPictures() + 1)
	var old []int
	for n := range upgrades {
		old = append(old, pid)
		signalUpgrade(t, pid)
		pid = s.awaitLog(ctx, t, "handed over", n+1)
		s.awaitLog(ctx, t, "viewers stay with this process", n+1)
		everybody(p.sentPictures() + livePictureRate)
	}
	leave()
	all.Wait()
	p.stop()
	for _, v := range viewers {
		report(t, v.name, v.faults)
		if v.gaps > 0 {
			t.Errorf("%s: the publisher was cut, and frames with it", v.name)
		}
		t.Logf("%s: %d pictures and %d sounds, %d places where some were not sent", v.name, v.count[tagVideo], v.count[tagAudio], v.gaps)
	}
	for _, pid := range old {
		eventually(ctx, t, "the end of the old processes", func() error { return notYet(hasEnded(pid), "one goes on") })
	}
}

// hasEnded reports whether a process has ended, be it that nobody has waited for it yet (proc_pid_stat(5)).
func hasEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

// numberedPublisher publishes frames that carry their numbers, as liveStream does. When its connection ends it goes on
// with the next keyframe on another.
type numberedPublisher struct {
	t    *testing.T
	url  string
	end  context.CancelFunc
	done chan struct{}

	mu       sync.Mutex
	pictures int
	begins   map[int]bool // the keyframes with which connections began
}

func publishNumbered(ctx context.Context, t *testing.T, url string) *numberedPublisher {
	ctx, cancel := context.WithCancel(ctx)
	p := &numberedPublisher{t: t, url: url, end: cancel, done: make(chan struct{}), begins: map[int]bool{}}
	connected := make(chan struct{}, 1)
	go func() {
		defer close(p.done)
		for ctx.Err() == nil {
			if err := p.publish(ctx, connected); ctx.Err() == nil {
				t.Logf("the publisher connects again: %v", err)
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()
	t.Cleanup(p.stop)
	select {
	case <-connected:
	case <-ctx.Done():
		t.Fatal("the publisher cannot publish")
	}
	return p
}

func (p *numberedPublisher) stop() {
	p.end()
	<-p.done
}

func (p *numberedPublisher) sentPictures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pictures
}

func (p *numberedPublisher) publish(ctx context.Context, connected chan<- struct{}) error {
	c, err := rtmp.Dial(ctx, p.url, rtmp.ClientConfig{})
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // a test
	if err := c.Publish(ctx); err != nil {
		return err
	}
	for kind, config := range map[uint8][]byte{rtmp.TypeVideo: liveVideoConfig, rtmp.TypeAudio: liveAudioConfig} {
		if err := c.WriteMedia(kind, 0, config); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.pictures = (p.pictures + liveGOP - 1) / liveGOP * liveGOP
	pictures := p.pictures
	p.begins[pictures] = true
	p.mu.Unlock()
	select {
	case connected <- struct{}{}:
	default:
	}
	const soundRate = 48000.0 / 1024
	begin := time.Duration(pictures) * time.Second / livePictureRate
	sounds, start := int(begin.Seconds()*soundRate)+1, time.Now().Add(-begin)
	for {
		id, at := frameID{rtmp.TypeVideo, pictures}, time.Duration(pictures)*time.Second/livePictureRate
		if sound := time.Duration(float64(sounds) / soundRate * float64(time.Second)); sound < at {
			id, at = frameID{rtmp.TypeAudio, sounds}, sound
			sounds++
		} else {
			pictures++
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(start.Add(at))):
		}
		if err := c.WriteMedia(id.kind, uint32(at.Milliseconds()), livePayload(id)); err != nil {
			return err
		}
		p.mu.Lock()
		p.pictures = pictures
		p.mu.Unlock()
	}
}

// numberedViewer accounts for what a numberedPublisher has sent.
type numberedViewer struct {
	name      string
	publisher *numberedPublisher

	mu      sync.Mutex
	next    map[int]int // number by type of tag
	time    map[int]int64
	count   map[int]int
	gaps    int
	faults  []string
	changed chan struct{} // closed and replaced when a frame arrives
}

func newNumberedViewer(name string, p *numberedPublisher) *numberedViewer {
	return &numberedViewer{
		name: name, publisher: p, next: map[int]int{}, time: map[int]int64{}, count: map[int]int{}, changed: make(chan struct{}),
	}
}

// take notes a frame at its time, in any unit.
func (v *numberedViewer) take(id frameID, at int64) {
	v.publisher.mu.Lock()
	begins := v.publisher.begins[id.number]
	v.publisher.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	kind := int(id.kind)
	want, later := v.next[kind]
	fault := func(format string, args ...any) {
		if len(v.faults) < maxFaults {
			v.faults = append(v.faults, fmt.Sprintf("type %d: ", kind)+fmt.Sprintf(format, args...))
		}
	}
	switch {
	case !later || id.number == want:
	case kind == tagVideo && id.number > want && begins:
		v.gaps++
	case kind == tagAudio && id.number > want && v.gaps > 0: // the same gap, if it is one
		if lost := id.number - want; lost > v.gaps*3*liveGOP {
			fault("%d frames are missing", lost)
		}
	default:
		fault("frame %d came where %d was to come", id.number, want)
	}
	if later && at <= v.time[kind] {
		fault("the time of frame %d goes back from %d to %d", id.number, v.time[kind], at)
	}
	v.next[kind], v.time[kind] = id.number+1, at
	v.count[kind]++
	close(v.changed)
	v.changed = make(chan struct{})
}

// pictures returns the number of the next picture.
func (v *numberedViewer) pictures() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.next[tagVideo]
}

// await waits until pictures up to a number have come.
func (v *numberedViewer) await(ctx context.Context, pictures int) error {
	for {
		v.mu.Lock()
		next, changed := v.next[tagVideo], v.changed
		v.mu.Unlock()
		if next >= pictures {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("picture %d has come, and %d was to come", next-1, pictures-1)
		}
	}
}

func (v *numberedViewer) readFLV(body io.Reader) error {
	return eachTag(body, func(tag flvTag) error {
		if id, ok := liveFrame(tag.kind, tag.body); ok {
			v.take(id, int64(tag.time))
		}
		return nil
	})
}

// readSocket reads the payloads of a WebSocket's messages as FLV (RFC 6455, 5.2). A server's frames have no mask.
func (v *numberedViewer) readSocket(body io.Reader) error {
	r, w := io.Pipe()
	go func() {
		for {
			var head [2]byte
			if _, err := io.ReadFull(body, head[:]); err != nil {
				_ = w.CloseWithError(err)
				return
			}
			size := int64(head[1])
			if long := map[int64]int{126: 2, 127: 8}[size]; long > 0 {
				var b [8]byte
				if _, err := io.ReadFull(body, b[:long]); err != nil {
					_ = w.CloseWithError(err)
					return
				}
				size = 0
				for _, c := range b[:long] {
					size = size<<8 | int64(c)
				}
			}
			if head[0] != 0x82 { // no whole binary message
				_ = w.CloseWithError(fmt.Errorf("a WebSocket frame begins with %#x", head[0]))
				return
			}
			if _, err := io.CopyN(w, body, size); err != nil {
				_ = w.CloseWithError(err)
				return
			}
		}
	}()
	defer r.Close() //nolint:errcheck // a pipe
	return v.readFLV(r)
}

func (v *numberedViewer) readTS(body io.Reader) error {
	r := &mpegts.Reader{R: body}
	if err := r.Initialize(); err != nil {
		return err
	}
	for _, track := range r.Tracks() {
		switch track.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(track, func(_, dts int64, units [][]byte) error {
				for _, unit := range units {
					if kind := unit[0] & 0x1f; kind == 5 || kind == 1 {
						tag := append(bytes.Repeat([]byte{1}, 9), unit...)
						if id, ok := liveFrame(tagVideo, tag); ok {
							v.take(id, dts)
						}
					}
				}
				return nil
			})
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(track, func(pts int64, units [][]byte) error {
				for i, unit := range units {
					if id, ok := liveFrame(tagAudio, append([]byte{0xaf, 1}, unit...)); ok {
						v.take(id, pts+int64(i))
					}
				}
				return nil
			})
		}
	}
	for {
		if err := r.Read(); err != nil {
			return err
		}
	}
}

// readRTMP plays with another library's client, which does not tell all times.
func (v *numberedViewer) readRTMP(ctx context.Context, t *testing.T, s *server) error {
	next, err := playGoRTMP(ctx, t, s, "test")
	if err != nil {
		return err
	}
	for n := int64(1); ; n++ {
		kind, body, err := next()
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if id, ok := liveFrame(kind, body); ok {
			v.take(id, n)
		}
	}
}
