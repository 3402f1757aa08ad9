package hls

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/headwater-live/headwater/storage"
)

// cpuTime returns the processor time that the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSegment publishes segments of 2 s at 2.6 Mbit/s, from the packets to the
// listing: muxed, hashed, stored in files, written down, rendered and packed.
func BenchmarkSegment(b *testing.B) {
	dir, err := storage.OpenDir(b.TempDir(), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	// The quota has files go as fast as they come, as they do on the air.
	listed := make(chan struct{}, 4) // room for those of the end, for which nobody waits
	s := NewServer(Config{Storage: dir, Quota: 16 << 20, Listed: func(SegmentStatus) { listed <- struct{}{} }})
	c := s.NewSink(testName).(*Channel)
	e := at25(50)
	e.size = 11_600
	all := e.frames(0, 2_000)
	c.Begin(e.tracks())
	for _, pkt := range e.configs(0) {
		c.Write(pkt)
	}
	bytes := 0
	for _, f := range all {
		bytes += len(f.pkt.Payload)
	}
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	began, n := cpuTime(b), uint64(0)
	for b.Loop() {
		for _, f := range all {
			c.Write(f.pkt)
			f.pkt.DTS += 2_000
		}
		if n > 0 { // all but the open one
			<-listed
		}
		// Two seconds have passed, as far as the window can tell. Its goroutine waits for the next segment.
		for _, seen := range c.window.listed {
			seen.shown = seen.shown.Add(-2 * time.Second)
		}
		n++
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(time.Millisecond)/float64(n), "cpu-ms/segment")
	c.End()
	s.Close(context.Background())
}
