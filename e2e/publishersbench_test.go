package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

const (
	publishers      = 60
	publishersWarm  = 8 * time.Second  // until all windows have something and buffers are as large as they get
	publishersCount = 12 * time.Second // measured
)

// BenchmarkPublishers measures what a publisher of 2.6 Mbit/s costs the server's process,
// with HLS and without viewers: in percent of a core and in megabytes. nginx-rtmp does the
// same afterwards, where it is installed.
func BenchmarkPublishers(b *testing.B) {
	src := fixtureNamed(b, "broadcast-720p").make(b)
	file, err := os.ReadFile(src.path)
	if err != nil {
		b.Fatal(err)
	}
	tags, _, err := parseFLV(file)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s := startSwift(b, b.TempDir())
		measurePublishers(b, "headwater", s.cmd.Process.Pid, s.rtmp, tags)
		if err := s.stop(); err != nil {
			b.Error(err)
		}
		if _, err := os.Stat(rtmpModule); err != nil {
			b.Log("nginx-rtmp is not installed, so there is nothing to compare with: apt-get install libnginx-mod-rtmp")
			continue
		}
		pid, url := startNginxRTMP(b)
		measurePublishers(b, "nginx-rtmp", pid, url, tags)
	}
	b.ReportMetric(0, "ns/op")
}

// measurePublishers publishes to a server with all publishers at once.
func measurePublishers(b *testing.B, name string, pid int, url string, tags []flvTag) {
	b.Helper()
	empty := residentBytes(b, pid)
	ctx, cancel := context.WithTimeout(b.Context(), publishersWarm+publishersCount)
	defer cancel()
	var wg sync.WaitGroup
	failed := make(chan error, publishers)
	for i := range publishers {
		wg.Go(func() {
			// Encoders are not in step.
			time.Sleep(time.Duration(i) * 2 * time.Second / publishers)
			if err := pushInRealTime(ctx, fmt.Sprintf("%s/live/p%d", url, i), tags); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	time.Sleep(publishersWarm)
	cpu, began := processCPU(b, pid), time.Now()
	time.Sleep(publishersCount - time.Second)
	cpu, took := processCPU(b, pid)-cpu, time.Since(began)
	full := residentBytes(b, pid)
	wg.Wait()
	select {
	case err := <-failed:
		b.Fatalf("publish to %s: %v", name, err)
	default:
	}
	b.ReportMetric(100*cpu.Seconds()/took.Seconds()/publishers, name+"-%core/publisher")
	b.ReportMetric(float64(full-empty)/publishers/1e6, name+"-MB/publisher")
}

// pushInRealTime publishes tags in real time, again and again, until ctx ends.
func pushInRealTime(ctx context.Context, url string, tags []flvTag) error {
	client, err := rtmp.Dial(ctx, url, rtmp.ClientConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if err := client.Publish(ctx); err != nil {
		return err
	}
	length := tags[len(tags)-1].time + 40
	began := time.Now()
	for round := uint32(0); ; round++ {
		for _, tag := range tags {
			at := tag.time + round*length
			wait := time.Until(began.Add(time.Duration(at) * time.Millisecond))
			if wait > 0 {
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(wait):
				}
			}
			if err := client.WriteMedia(uint8(tag.kind), at, tag.body); err != nil {
				return err
			}
		}
	}
}

// residentBytes returns how much memory a process holds of its own: what is mapped from
// files is not its cost.
func residentBytes(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	b.Fatal("/proc says nothing of RssAnon")
	return 0
}

const rtmpModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

// startNginxRTMP starts nginx in one process with its RTMP module, HLS as it is by default
// but for segments of 2 s.
func startNginxRTMP(b *testing.B) (pid int, url string) {
	b.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx"
	}
	dir := b.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("load_module %s;\ndaemon off; master_process off; pid %[2]s/pid; error_log stderr error;\n"+
		"events { worker_connections 1024; }\nrtmp { access_log off; server { listen %[3]s; application live { live on; hls on; hls_path %[2]s/hls;\n"+
		"hls_fragment 2s; hls_playlist_length 12s; hls_nested on; } } }\n", rtmpModule, dir, addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	pid = startChild(b, exec.Command(nginx, "-c", conf, "-p", dir, "-e", "stderr"))
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return pid, "rtmp://" + addr
		}
		if time.Now().After(deadline) {
			b.Fatalf("nginx-rtmp does not listen: %v", err)
		}
	}
}
