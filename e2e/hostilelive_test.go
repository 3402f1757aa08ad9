package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// liveStream is a publisher and a viewer of one stream, who account for every frame and its
// delay: the time from the frame's send to its arrival. Both clocks are this process's.
type liveStream struct {
	client              *rtmp.Client
	stop                context.CancelFunc
	publishing, viewing sync.WaitGroup

	mu      sync.Mutex
	sent    map[frameID]time.Time
	arrived map[frameID]time.Time
	faults  []string
	changed chan struct{} // closed and replaced when a frame arrives
	ended   bool          // the viewer's response
}

// frameID is a frame's number within its track, which its payload carries.
type frameID struct {
	kind   uint8
	number int
}

// What an encoder at 2.5 Mbit/s sends: 30 pictures a second, a keyframe every two seconds, and
// AAC at 48 kHz.
const (
	livePictureRate = 30
	liveGOP         = 2 * livePictureRate
	liveKeyframe    = 40_000
	livePicture     = 9_000
	liveSound       = 300
)

// liveVideoConfig and liveAudioConfig are decoder configurations: H.264 Main 320x180 and
// AAC-LC, 48 kHz, stereo.
var (
	liveVideoConfig = []byte("\x17\x00\x00\x00\x00" + "\x01\x4d\x40\x0c\xff\xe1\x00\x18" +
		"\x67\x4d\x40\x0c\xda\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc5\x0a\xa8" + "\x80" +
		"\x01\x00\x04\x68\xef\x3c\x80")
	liveAudioConfig = []byte{0xaf, 0, 0x11, 0x90}
)

// livePayload is the FLV tag body of a frame that carries its number.
func livePayload(id frameID) []byte {
	number := fmt.Sprintf("%012d", id.number)
	if id.kind == rtmp.TypeAudio {
		return append([]byte{0xaf, 1}, filled(number, liveSound)...)
	}
	if id.number%liveGOP == 0 {
		return append([]byte("\x17\x01\x00\x00\x00"), withLength(filled("\x65"+number, liveKeyframe))...)
	}
	return append([]byte("\x27\x01\x00\x00\x00"), withLength(filled("\x41"+number, livePicture))...)
}

func filled(head string, size int) []byte {
	b := make([]byte, size)
	for i := copy(b, head); i < size; i++ {
		b[i] = 0xaa
	}
	return b
}

func withLength(unit []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(unit))), unit...)
}

// liveFrame reads which frame a tag or message carries; false for anything else.
func liveFrame(kind int, body []byte) (frameID, bool) {
	at := 2
	if kind == tagVideo {
		at = 5 + 4 + 1
	}
	if kind != tagVideo && kind != tagAudio || len(body) < at+12 || body[1] != 1 {
		return frameID{}, false
	}
	number, err := strconv.Atoi(string(body[at : at+12]))
	return frameID{uint8(kind), number}, err == nil
}

// startLive watches a stream by HTTP-FLV and begins to publish it.
func startLive(t *testing.T, s *server, name string) *liveStream {
	t.Helper()
	return startLiveBeside(t, s, name, "", 0)
}

// startLiveBeside does so with a key, once so many others wait for the stream as well.
func startLiveBeside(t *testing.T, s *server, name, query string, others int) *liveStream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &liveStream{
		stop: cancel, sent: map[frameID]time.Time{}, arrived: map[frameID]time.Time{},
		changed: make(chan struct{}),
	}
	l.viewing.Go(func() { l.view(t.Context(), s.flvURL(name)) })
	if err := s.awaitedBy(limit(t, startLimit), name, 1+others); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.client, err = rtmp.Dial(ctx, s.publishURL(name)+query, rtmp.ClientConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := l.client.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	l.publishing.Go(func() { l.publish(ctx) })
	t.Cleanup(func() { cancel(); l.publishing.Wait(); _ = l.client.Close(); l.viewing.Wait() })
	return l
}

func (l *liveStream) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// publish sends frames, each when its time has come, until ctx ends.
func (l *liveStream) publish(ctx context.Context) {
	for kind, config := range map[uint8][]byte{rtmp.TypeVideo: liveVideoConfig, rtmp.TypeAudio: liveAudioConfig} {
		if err := l.client.WriteMedia(kind, 0, config); err != nil {
			l.fault("publish: %v", err)
			return
		}
	}
	start := time.Now()
	pictures, sounds := 0, 0
	for {
		id, at := frameID{rtmp.TypeVideo, pictures}, time.Duration(pictures)*time.Second/livePictureRate
		if sound := time.Duration(sounds) * 1024 * time.Second / 48000; sound < at {
			id, at = frameID{rtmp.TypeAudio, sounds}, sound
			sounds++
		} else {
			pictures++
		}
		payload := livePayload(id)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(start.Add(at))):
		}
		l.mu.Lock()
		l.sent[id] = time.Now()
		l.mu.Unlock()
		if err := l.client.WriteMedia(id.kind, uint32(at.Milliseconds()), payload); err != nil {
			l.fault("publish frame %v: %v", id, err)
			return
		}
	}
}

// view reads the stream to its end.
func (l *liveStream) view(ctx context.Context, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		l.fault("view: %v", err)
		return
	}
	res, err := viewerClient.Do(req)
	if err != nil {
		l.fault("view: %v", err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		l.fault("view: status %d", res.StatusCode)
		return
	}
	err = l.readTags(bufio.NewReaderSize(res.Body, 256<<10))
	if !errors.Is(err, io.EOF) {
		l.fault("view: %v", err)
	}
	l.mu.Lock()
	l.ended = true
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
}

// readTags notes each frame's arrival until the response ends.
func (l *liveStream) readTags(r *bufio.Reader) error {
	if _, err := r.Discard(13); err != nil {
		return err
	}
	next := map[uint8]int{}
	for {
		var head [11]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		body := make([]byte, int(head[1])<<16|int(head[2])<<8|int(head[3])+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return fmt.Errorf("in a tag: %w", io.ErrUnexpectedEOF)
		}
		now := time.Now()
		id, ok := liveFrame(int(head[0]), body)
		if !ok {
			continue
		}
		if id.number != next[id.kind] {
			l.fault("frame %d of type %d came where %d was to come", id.number, id.kind, next[id.kind])
		}
		next[id.kind] = id.number + 1
		l.mu.Lock()
		l.arrived[id] = now
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
	}
}
