package fanout

import (
	"fmt"
	"net"
	"testing"
	"time"
)

const (
	settle = 2 * time.Second
	length = 6 * time.Second
)

// viewersOf are the ways to watch a stream.
var viewersOf = map[string]func(server) func() (net.Conn, error){
	"flv":  func(s server) func() (net.Conn, error) { return httpViewer("http://" + s.http + "/live/x.flv") },
	"ws":   func(s server) func() (net.Conn, error) { return httpViewer("ws://" + s.http + "/live/x.flv") },
	"rtmp": func(s server) func() (net.Conn, error) { return rtmpViewer("rtmp://" + s.rtmp + "/live/x") },
}

// BenchmarkFanOut sends a stream of 2.6 Mbit/s to 300 viewers, and measures the limit before and
// after.
func BenchmarkFanOut(b *testing.B) {
	const viewers = 300
	for _, latency := range []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 350 * time.Millisecond} {
		for _, kind := range []string{"flv", "rtmp", "ws"} {
			b.Run(fmt.Sprintf("%s/latency=%v", kind, latency), func(b *testing.B) {
				for range b.N {
					before := limit(b, stream2600, viewers, latency)
					s := start(b, "--flv.latency="+latency.String())
					stream2600.publish(b.Context(), b, "rtmp://"+s.rtmp+"/live/x")
					var seen *sampler
					if kind == "rtmp" {
						seen = sampleRTMP(b, "rtmp://"+s.rtmp+"/live/x")
					} else {
						seen = sample(b, "http://"+s.http+"/live/x.flv")
					}
					c := gather(b, viewers, viewersOf[kind](s))
					time.Sleep(settle)
					seen.reset()
					got := measure(b, s.pid, c, length)
					if n := seen.missing(); n > 0 {
						b.Errorf("%d pictures are missing", n)
					}
					least := (before + limit(b, stream2600, viewers, latency)) / 2
					b.ReportMetric(got.perGB, "cpu-s/GB")
					b.ReportMetric(least, "limit-cpu-s/GB")
					b.ReportMetric(got.perGB/least, "x-limit")
					b.ReportMetric(seen.percentile(50).Seconds()*1e3, "p50-ms")
					b.ReportMetric(seen.percentile(99).Seconds()*1e3, "p99-ms")
					b.ReportMetric(float64(memory(b, s.pid))/1e6, "RSS-MB")
					b.ReportMetric(0, "ns/op")
				}
			})
		}
	}
}

// limit returns the cost of only writing, in seconds of processor for each gigabyte.
func limit(b *testing.B, s stream, viewers int, latency time.Duration) (perGB float64) {
	b.Helper()
	pid, addr, stop := startLimit(b, s, viewers, latency)
	defer stop()
	c := gather(b, viewers, plainViewer(addr))
	defer c.close()
	time.Sleep(settle / 2)
	return measure(b, pid, c, length/2).perGB
}

// BenchmarkCrowd sends a stream of 600 kbit/s to 5,000 viewers for a minute, with the default
// settings.
func BenchmarkCrowd(b *testing.B) {
	const viewers = 5_000
	for range b.N {
		s := start(b)
		stream600.publish(b.Context(), b, "rtmp://"+s.rtmp+"/live/x")
		seen := sample(b, "http://"+s.http+"/live/x.flv")
		before := memory(b, s.pid)
		c := gather(b, viewers, viewersOf["flv"](s))
		time.Sleep(2 * settle)
		seen.reset()
		began, start := time.Now(), c.each()
		got := measure(b, s.pid, c, time.Minute)
		c.compare(b, start, time.Since(began), stream600)
		if n := seen.missing(); n > 0 {
			b.Errorf("%d pictures are missing", n)
		}
		if n := s.metric(b, `headwater_viewer_jumps_total{protocol="flv"}`); n != 0 {
			b.Errorf("%v viewers fell behind", n)
		}
		b.ReportMetric(got.perGB, "cpu-s/GB")
		b.ReportMetric(got.core, "cores")
		b.ReportMetric(seen.percentile(50).Seconds()*1e3, "p50-ms")
		b.ReportMetric(seen.percentile(99).Seconds()*1e3, "p99-ms")
		b.ReportMetric(float64(memory(b, s.pid)-before)/viewers/1e3, "KB/viewer")
		b.ReportMetric(0, "ns/op")
	}
}
