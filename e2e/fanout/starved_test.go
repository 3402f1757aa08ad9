package fanout

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// BenchmarkOverload has a server that writes at once run for 40 ms at a time, and stand still for longer and longer
// in between. What a gigabyte costs falls, the delay grows, nobody is cut and no picture is missing.
func BenchmarkOverload(b *testing.B) {
	const viewers = 300
	for range b.N {
		s := start(b, "--flv.latency=0s")
		stream2600.publish(b.Context(), b, "rtmp://"+s.rtmp+"/live/x")
		seen := sample(b, "http://"+s.http+"/live/x.flv")
		c := gather(b, viewers, viewersOf["flv"](s))
		time.Sleep(settle)
		calm := 0.0
		for _, still := range []time.Duration{0, 60 * time.Millisecond, 160 * time.Millisecond, 600 * time.Millisecond} {
			seen.reset()
			got := measureStarved(b, s.pid, c, still)
			if still == 0 {
				calm = got.perGB
			}
			name := fmt.Sprintf("still-%v-", still)
			b.ReportMetric(got.perGB, name+"cpu-s/GB")
			b.ReportMetric(got.perGB/calm, name+"x-calm")
			b.ReportMetric(seen.percentile(50).Seconds()*1e3, name+"p50-ms")
			b.ReportMetric(seen.percentile(99).Seconds()*1e3, name+"p99-ms")
		}
		if n := seen.missing(); n > 0 {
			b.Errorf("%d pictures are missing", n)
		}
		if n := s.metric(b, `headwater_viewer_jumps_total{protocol="flv"}`); n != 0 {
			b.Errorf("%v viewers fell behind", n)
		}
		b.ReportMetric(0, "ns/op")
	}
}

// measureStarved measures while the process stands still for so long again and again.
func measureStarved(b *testing.B, pid int, c *crowd, still time.Duration) (got cost) {
	b.Helper()
	if still == 0 {
		return measure(b, pid, c, length)
	}
	stop := make(chan struct{})
	var starving sync.WaitGroup
	starving.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				starve(b, pid, still, fed)
			}
		}
	})
	time.Sleep(settle) // what came before is gone
	got = measure(b, pid, c, length)
	close(stop)
	starving.Wait()
	time.Sleep(settle / 2)
	return got
}
