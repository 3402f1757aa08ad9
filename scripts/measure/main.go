// Command measure makes the tables of docs/performance.md with `headwater bench`: Headwater in its settings, and
// other servers beside it in the same minutes. Run it in the top folder, on a machine that does nothing else:
//
//	go run ./scripts/measure -headwater bin/headwater -lal ~/go/bin/lalserver
//
// nginx with its RTMP module (Debian: libnginx-mod-rtmp) is measured where it is installed, lal where -lal names it.
// It takes about six minutes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/headwater-live/headwater/load"
)

// measurer runs loads one after the other.
type measurer struct {
	headwater string
	seconds   int
}

func main() {
	m := measurer{}
	flag.StringVar(&m.headwater, "headwater", "bin/headwater", "the program to measure")
	flag.IntVar(&m.seconds, "seconds", 15, "how long each load is measured")
	lal := flag.String("lal", "", "lal's server, measured beside it")
	nginx := flag.String("nginx", "nginx", "nginx, measured beside it")
	module := flag.String("nginx-module", "/usr/lib/nginx/modules/ngx_rtmp_module.so", "its RTMP module")
	only := flag.String("only", "", "settings or others; both if empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := m.run(ctx, *only, []rival{nginxRTMP(*nginx, *module), lalServer(*lal)}); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func (m *measurer) run(ctx context.Context, only string, rivals []rival) error {
	if only != "others" {
		if err := m.settings(ctx); err != nil {
			return err
		}
	}
	if only != "settings" {
		return m.others(ctx, rivals)
	}
	return nil
}

// settings measures Headwater with its protocols and latencies, many viewers and many publishers.
func (m *measurer) settings(ctx context.Context) error {
	fmt.Println(header)
	for _, load := range []struct {
		title string
		args  []string
	}{
		{"HTTP-FLV, 0", []string{"--flv", "300", "--", "--flv.latency=0s"}},
		{"HTTP-FLV, 50 ms", []string{"--flv", "300", "--", "--flv.latency=50ms"}},
		{"HTTP-FLV, 100 ms", []string{"--flv", "300", "--", "--flv.latency=100ms"}},
		{"HTTP-FLV, 350 ms", []string{"--flv", "300", "--", "--flv.latency=350ms"}},
		{"WebSocket-FLV, 50 ms", []string{"--ws", "300"}},
		{"RTMP, 50 ms", []string{"--rtmp", "300"}},
		{"HTTP-TS, 50 ms", []string{"--ts", "300"}},
		{"HLS", []string{"--hls", "300", "--warmup", "12s", "--duration", fmt.Sprintf("%ds", max(6, m.seconds))}}, // whole segments
		{"5,000 HTTP-FLV of 600 kbit/s", []string{"--flv", "5000", "--bitrate", "600k", "--audio", "64k", "--size", "640x360",
			"--warmup", "12s", "--duration", fmt.Sprintf("%ds", 4*m.seconds)}},
		{"60 publishers", []string{"--publishers", "60"}},
	} {
		r, err := m.bench(ctx, append([]string{"--start"}, load.args...)...)
		if err != nil {
			return fmt.Errorf("%s: %w", load.title, err)
		}
		fmt.Println(row(load.title, r))
	}
	return nil
}

// bench runs a load and returns what it measured. What args say twice holds as it is said last.
func (m *measurer) bench(ctx context.Context, args ...string) (*load.Report, error) {
	all := append([]string{"bench", "--json", "--warmup", "4s", "--duration", fmt.Sprintf("%ds", m.seconds)}, args...)
	cmd := exec.CommandContext(ctx, m.headwater, all...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("headwater bench: %w", err)
	}
	var r load.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	return &r, nil
}

const header = `
| viewers | CPU of a core | CPU-s/GB | resident, MB | KB for each viewer | delay p50 / p90 / p99, ms | lost | late p99, ms |
|---|---|---|---|---|---|---|---|`

// row is a load's line of the table.
func row(title string, r *load.Report) string {
	line := "| " + title
	if s := r.Server; s != nil {
		line += fmt.Sprintf(" | %.1f%% | %.2f | %.0f", s.CPUPercent, s.PerGB, float64(s.RSS)/1e6)
		line += fmt.Sprintf(" | %.0f", float64(s.RSSPerViewer)/1e3)
	} else {
		line += " | - | - | - | -"
	}
	delay := "-"
	for _, v := range r.Viewers {
		if v.Count > 0 {
			delay = fmt.Sprintf("%.1f / %.0f / %.0f", v.Delay.P50, v.Delay.P90, v.Delay.P99)
		}
	}
	lost, _ := r.Lost()
	return line + fmt.Sprintf(" | %s | %d | %.1f |", delay, lost, r.Publishers.Late.P99)
}
