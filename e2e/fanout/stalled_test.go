package fanout

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkStalled has 1,000 viewers stop reading, half of them for good and half again and again
// by a few bytes, and measures what that does to the one that reads, at once, and to the memory.
func BenchmarkStalled(b *testing.B) {
	const viewers = 1_000
	for range b.N {
		s := start(b, "--flv.latency=0s")
		stream2600.publish(b.Context(), b, "rtmp://"+s.rtmp+"/live/x")
		seen := sample(b, "http://"+s.http+"/live/x.flv")
		time.Sleep(settle)
		rss, kernel := memory(b, s.pid), kernelMemory(b)
		dial := httpViewer("http://" + s.http + "/live/x.flv")
		stop := make(chan struct{})
		for i := range viewers {
			nc, err := dial()
			if err != nil {
				b.Fatal(err)
			}
			if i%2 == 1 {
				go trickle(nc, stop)
			}
			b.Cleanup(func() { _ = nc.Close() })
		}
		seen.reset()
		most, mostKernel := 0, 0
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(200 * time.Millisecond) {
			most, mostKernel = max(most, memory(b, s.pid)), max(mostKernel, kernelMemory(b))
		}
		close(stop)
		if n := seen.missing(); n > 0 {
			b.Errorf("%d pictures are missing", n)
		}
		b.ReportMetric(seen.percentile(50).Seconds()*1e3, "p50-ms")
		b.ReportMetric(seen.percentile(99).Seconds()*1e3, "p99-ms")
		b.ReportMetric(float64(most-rss)/1e6, "RSS-growth-MB")
		b.ReportMetric(float64(mostKernel-kernel)/1e6, "TCP-growth-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// trickle reads a few bytes now and then.
func trickle(nc net.Conn, stop <-chan struct{}) {
	var few [100]byte
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
			if _, err := nc.Read(few[:]); err != nil {
				return
			}
		}
	}
}

// kernelMemory returns what all TCP sockets of the machine hold, in bytes.
func kernelMemory(b *testing.B) int {
	b.Helper()
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(stat)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == "TCP:" && fields[len(fields)-2] == "mem" {
			pages, _ := strconv.Atoi(fields[len(fields)-1])
			return pages * os.Getpagesize()
		}
	}
	b.Fatalf("no TCP memory in %q", stat)
	return 0
}
