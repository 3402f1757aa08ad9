package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// steady is a source of video messages that come at a rate, in bits per second.
type steady struct {
	rate    int
	number  uint32
	message []byte
}

// steadyPayload returns the payload of a message: one in ten is as long as a slab of 512 KiB may have it, and
// longer than one of 128 KiB may.
func steadyPayload(number uint32) []byte {
	size := 10_000
	if number%10 == 3 {
		size = maxSlab/slabShare - int(number%3)
	}
	payload := bytes.Repeat([]byte{byte(number)}, size)
	binary.BigEndian.PutUint32(payload, number)
	return payload
}

func (s *steady) Read(p []byte) (int, error) {
	if len(s.message) == 0 {
		payload := steadyPayload(s.number)
		s.message = AppendMessage(nil, ChunkStreamVideo, TypeVideo, 1, 0, defaultChunkSize, payload)
		s.number++
		if s.rate > 0 {
			time.Sleep(time.Duration(len(payload)) * 8 * time.Second / time.Duration(s.rate))
		}
	}
	n := copy(p, s.message)
	s.message = s.message[n:]
	return n, nil
}

// TestSlabsAreAsLargeAsTheirStreamIsFast changes the bitrate of a publisher, and looks at what it is read into
// and at what is read. All payloads are kept: none may change when the slabs do.
func TestSlabsAreAsLargeAsTheirStreamIsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &steady{}
		c := newChunkReader(src, new(counters))
		c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
		var kept [][]byte
		for _, phase := range []struct {
			name string
			rate int
			slab int
		}{
			{"the first message", 1_000_000, 128 << 10},
			{"1 Mbit/s", 1_000_000, 128 << 10},
			{"3 Mbit/s", 3_000_000, 128 << 10},
			{"12 Mbit/s", 12_000_000, 256 << 10},
			{"7 Mbit/s after more", 7_000_000, 256 << 10},
			{"40 Mbit/s", 40_000_000, 512 << 10},
			{"as fast as it can", 0, 512 << 10},
			{"1 Mbit/s after a burst", 1_000_000, 128 << 10},
		} {
			src.rate = phase.rate
			messages := 300
			if len(kept) == 0 {
				messages = 1
			}
			for range messages {
				m, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, m.payload)
			}
			if len(c.buf) != phase.slab {
				t.Errorf("%s: a slab has %d KiB, want %d", phase.name, len(c.buf)>>10, phase.slab>>10)
			}
		}
		for i, p := range kept {
			if !bytes.Equal(p, steadyPayload(uint32(i))) {
				t.Fatalf("message %d of %d is not what was sent", i, len(kept))
			}
		}
	})
}

// TestAStrangersSlabsStaySmall floods a reader that nobody has authorised, which makes its slabs fill at once.
func TestAStrangersSlabsStaySmall(t *testing.T) {
	flood := AppendMessage(nil, ChunkStreamVideo, TypeVideo, 1, 0, defaultChunkSize, make([]byte, 1000))
	c := newChunkReader(io.LimitReader(&looped{b: flood}, 10*maxSlab), new(counters))
	for {
		_, err := c.next()
		if len(c.buf) > unauthorisedBuffer {
			t.Fatalf("a slab has %d bytes", len(c.buf))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
