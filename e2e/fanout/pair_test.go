package fanout

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRTMPBesideFLV measures what players over RTMP cost beside viewers over HTTP-FLV.
func BenchmarkRTMPBesideFLV(b *testing.B) { besideFLV(b, "rtmp") }

// BenchmarkWebSocketBesideFLV measures what viewers over WebSocket cost beside viewers over HTTP-FLV.
func BenchmarkWebSocketBesideFLV(b *testing.B) { besideFLV(b, "ws") }

// besideFLV has two servers send the same stream to 300 viewers each at the same time, one of them over
// HTTP-FLV, and measures what the other costs beside it. Whatever else the machine does, it does to both.
func besideFLV(b *testing.B, other string) {
	const viewers = 300
	for _, latency := range []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 350 * time.Millisecond} {
		b.Run(fmt.Sprintf("latency=%v", latency), func(b *testing.B) {
			for range b.N {
				var servers [2]server
				var crowds [2]*crowd
				for i, kind := range []string{"flv", other} {
					servers[i] = start(b, "--flv.latency="+latency.String())
					stream2600.publish(b.Context(), b, "rtmp://"+servers[i].rtmp+"/live/x")
					crowds[i] = gather(b, viewers, viewersOf[kind](servers[i]))
				}
				time.Sleep(settle)
				costs := measureAll(b, []int{servers[0].pid, servers[1].pid}, crowds[:], 2*length)
				b.ReportMetric(costs[0].perGB, "flv-cpu-s/GB")
				b.ReportMetric(costs[1].perGB, other+"-cpu-s/GB")
				b.ReportMetric(costs[1].perGB/costs[0].perGB, other+"/flv")
				b.ReportMetric(float64(memory(b, servers[0].pid))/1e6, "flv-RSS-MB")
				b.ReportMetric(float64(memory(b, servers[1].pid))/1e6, other+"-RSS-MB")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
