package fanout

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// stream is a stream's bit rate as its messages: video at 30 pictures a second with a keyframe
// every 2 s, and AAC at 48 kHz.
type stream struct{ picture, sound int } // bytes of a message

var (
	stream2600 = stream{10_400, 170}
	stream600  = stream{2_200, 120}
)

// perSecond returns the bytes of a second.
func (s stream) perSecond() float64 { return float64(s.picture)*30 + float64(s.sound)*48000/1024 }

// message is one of a stream's, at its time from the beginning.
type message struct {
	at    time.Duration
	kind  uint8
	size  int
	key   bool
	index int // of its kind
}

// messages calls do for each message in order, until that returns false.
func (s stream) messages(do func(message) bool) {
	const picture, sound = time.Second / 30, time.Second * 1024 / 48000
	for v, a := 0, 0; ; {
		m := message{time.Duration(v) * picture, rtmp.TypeVideo, s.picture, v%60 == 0, v}
		if at := time.Duration(a) * sound; at < m.at {
			m = message{at, rtmp.TypeAudio, s.sound, false, a}
			a++
		} else {
			v++
		}
		if !do(m) {
			return
		}
	}
}

// stampAt is where the time of sending is in a picture, and indexAt its number.
const (
	stampAt = 5 + 4 + 1
	indexAt = stampAt + 8
)

// payload is the body of a message that parses: one slice that nobody could decode.
func (m message) payload() []byte {
	b := make([]byte, m.size)
	for i := range b {
		b[i] = byte(i*7) | 1
	}
	if m.kind == rtmp.TypeAudio {
		copy(b, []byte{0xaf, 1})
		return b
	}
	copy(b, []byte{0x27, 1, 0, 0, 0})
	binary.BigEndian.PutUint32(b[5:], uint32(m.size-9))
	b[9] = 0x41
	if m.key {
		b[0], b[9] = 0x17, 0x65
	}
	binary.BigEndian.PutUint64(b[stampAt:], uint64(time.Now().UnixNano()))
	binary.BigEndian.PutUint64(b[indexAt:], uint64(m.index))
	return b
}

// avcConfig is a sequence header for 1280x720, Main profile.
var avcConfig = []byte{
	0x17, 0, 0, 0, 0, 1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 0x0a, 0x67, 0x4d, 0x40, 0x1f, 0xe8, 0x80, 0x28, 0x02, 0xdc, 0x80,
	1, 0, 4, 0x68, 0xee, 0x3c, 0x80,
}

// publish sends the stream in real time until the context ends.
func (s stream) publish(ctx context.Context, b testing.TB, url string) {
	b.Helper()
	c, err := rtmp.Dial(ctx, url, rtmp.ClientConfig{})
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Publish(ctx); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.WriteMedia(rtmp.TypeVideo, 0, avcConfig)
		_ = c.WriteMedia(rtmp.TypeAudio, 0, []byte{0xaf, 0, 0x11, 0x90})
		began := time.Now()
		s.messages(func(m message) bool {
			time.Sleep(time.Until(began.Add(m.at)))
			if ctx.Err() != nil {
				return false
			}
			return c.WriteMedia(m.kind, uint32(m.at.Milliseconds()), m.payload()) == nil
		})
	}()
	b.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
}
