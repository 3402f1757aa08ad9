package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// reloads is how often the configuration changes.
const reloads = 1_000

// TestAThousandReloadsDisturbNobody changes settings of every kind again and again while two encoders publish, and HLS,
// HTTP-FLV and RTMP are watched. Nobody is disconnected, and no frame is missing anywhere.
func TestAThousandReloadsDisturbNobody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headwater.yaml")
	write := func(n int) {
		t.Helper()
		odd := n % 2
		lines := fmt.Sprintf("stream.grace: 3s\nflv.latency: %dms\nstream.max_streams: %d\nrtmp.max_connections: %d\nhls.window: %d\n"+
			"hls.retain: %ds\nhttp.header_timeout: %ds\nhttp.watch_page: %t\nauth.publish: %s\nlog.level: %s\nmetrics.per_stream: %t\n",
			10+20*odd, 100+n, 1000+n, 6+odd, odd, 10+odd, odd == 0, []string{"open", "loopback"}[odd], []string{"info", "debug"}[odd], odd == 1)
		if err := os.WriteFile(file+".new", []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	s := startServer(t, "--config", file)
	ctx := limit(t, 3*time.Minute)
	const name = "reloaded"
	f := fixtureNamed(t, "high-bframes")
	src, other := f.make(t), fixtureNamed(t, "audio-only-44k").make(t)
	rec := watch(ctx, s.origin, name)
	dump := filepath.Join(t.TempDir(), "dump.flv")
	player := command(ctx, t, "rtmpdump", "--quiet", "--live", "--rtmp", s.publishURL(name), "--flv", dump)
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		ffmpegPush(ctx, t, src.path, s.publishURL(name))
	}()
	pushInBackground(ctx, t, other.path, s.publishURL("other"))
	waitForHLS(ctx, t, s.hlsURL(name), 1)

	whilePublished := 0
	for n := 1; n <= reloads; n++ {
		write(n)
		taken, _ := countReloads(ctx, t, s)
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for now, refused := taken, 0; now == taken; now, refused = countReloads(ctx, t, s) {
			if refused > 0 {
				t.Fatalf("%d reloads were refused", refused)
			}
		}
		select {
		case <-pushed:
		default:
			whilePublished++
		}
	}
	<-pushed
	rec.wait(t)
	if err := player.Wait(); err != nil {
		t.Errorf("rtmpdump: %v", err)
	}
	t.Logf("%d of %d reloads while frames came", whilePublished, reloads)
	if whilePublished < reloads/20 {
		t.Errorf("only %d reloads while frames came", whilePublished)
	}
	report(t, "HLS", account(src.media, rec.hls.read(ctx, t), tsTolerance))
	report(t, "FLV", account(src.media, rec.flv.read(ctx, t), flvTolerance))
	played, err := readMedia(ctx, dump)
	if err != nil {
		t.Fatal(err)
	}
	report(t, "RTMP", account(src.media, played, flvTolerance))
}

var reloadCounts = regexp.MustCompile(`(?m)^headwater_config_reloads_total\{result="(taken|refused)"\} (\d+)$`)

// countReloads asks the metrics how many reloads there were.
func countReloads(ctx context.Context, t *testing.T, s *server) (taken, refused int) {
	t.Helper()
	f, err := fetch(ctx, s.admin+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range reloadCounts.FindAllSubmatch(f.body, -1) {
		n, err := strconv.Atoi(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		if string(m[1]) == "taken" {
			taken = n
		} else {
			refused = n
		}
	}
	return taken, refused
}
