package hls

import (
	"bytes"
	"io"
	"testing"
)

// TestManyShortSegmentsTakeLittleMemory cuts segments much faster than they are taken, of a picture each, as a publisher
// does whose time jumps at every picture.
func TestManyShortSegmentsTakeLittleMemory(t *testing.T) {
	const cuts, packet = 10_000, 188
	s := NewServer(Config{})
	c := newChannel(s, "live/test", "incarnation")
	for i := range cuts {
		next := &segment{}
		next.data.write(bytes.Repeat([]byte{byte(i)}, packet))
		c.handOver(next)
	}
	segments, _ := c.take()
	taken := 0
	for i, segment := range segments {
		for _, part := range segment.data.parts {
			taken += cap(part)
		}
		got, err := io.ReadAll(segment.data.reader())
		if want := bytes.Repeat([]byte{byte(i)}, packet); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("segment %d has become %x: %v", i, got, err)
		}
	}
	if len(segments) != maxQueued || taken > 2*maxQueued*packet {
		t.Errorf("%d segments wait, and take %d bytes", len(segments), taken)
	}
	if lost := s.metrics.SegmentsLost.Load(); lost != cuts-maxQueued {
		t.Errorf("%d segments were lost", lost)
	}
	next := &segment{}
	next.data.write(make([]byte, slabSize)) // a slab must be whole, whoever had it before
	c.handOver(next)
	if len(c.closed) != 1 || !next.discontinuity {
		t.Errorf("%d segments wait after the loss; a discontinuity is said: %v", len(c.closed), next.discontinuity)
	}
	next.data.release()
	segments[0].data.release() // its bytes are not a slab's
	for range 10 {
		var fresh slabs
		fresh.write(make([]byte, 2*slabSize))
		if len(fresh.parts) != 2 {
			t.Fatalf("%d slabs", len(fresh.parts))
		}
	}
}
