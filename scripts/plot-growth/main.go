// Command plot-growth measures with `headwater bench` how the server's cost grows with viewers and with
// publishers, and draws it: docs/growth-viewers.svg and docs/growth-publishers.svg. Run it in the top folder:
//
//	go run ./scripts/plot-growth -headwater bin/headwater
//
// The reports go to -data as they are; with -draw only, the pictures are made from reports that are there.
// It takes about seven minutes, on a machine that does nothing else.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/headwater-live/headwater/load"
)

// series is one figure: the same load with ever more clients.
type series struct {
	name   string // of the files
	title  string
	counts []int
	args   func(count int) []string
}

var all = []series{
	{
		name: "viewers", title: "HTTP-FLV viewers of one stream of 600 kbit/s",
		counts: []int{1, 10, 100, 1000, 5000},
		args: func(n int) []string {
			return []string{"--publishers", "1", "--flv", strconv.Itoa(n), "--bitrate", "600k", "--audio", "64k", "--size", "640x360"}
		},
	},
	{
		name: "publishers", title: "Publishers of 600 kbit/s, with HLS",
		counts: []int{1, 10, 100, 500},
		args: func(n int) []string {
			return []string{"--publishers", strconv.Itoa(n), "--bitrate", "600k", "--audio", "64k", "--size", "640x360"}
		},
	},
}

func main() {
	headwater := flag.String("headwater", "bin/headwater", "the program to measure")
	data := flag.String("data", "docs/growth", "folder for the reports")
	docs := flag.String("docs", "docs", "folder for the pictures")
	seconds := flag.Int("seconds", 20, "how long each load is measured")
	draw := flag.Bool("draw", false, "draw reports that are there, measure nothing")
	only := flag.String("only", "", "viewers or publishers; both if empty")
	flag.Parse()
	for _, s := range all {
		if *only != "" && *only != s.name {
			continue
		}
		if err := s.run(*headwater, *data, *docs, *seconds, *draw); err != nil {
			fmt.Fprintln(os.Stderr, "plot-growth:", err)
			os.Exit(1)
		}
	}
}

func (s series) run(headwater, data, docs string, seconds int, drawOnly bool) error {
	file := filepath.Join(data, s.name+".json")
	if !drawOnly {
		if err := s.measure(headwater, file, seconds); err != nil {
			return err
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var points []point
	if err := json.Unmarshal(b, &points); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	picture, err := plot(s.title, points)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(filepath.Join(docs, "growth-"+s.name+".svg"), picture, 0o644)
}

// measure runs one load after the other and keeps what was measured.
func (s series) measure(headwater, file string, seconds int) error {
	var points []point
	for _, n := range s.counts {
		args := append([]string{"bench", "--json", "--start", "--warmup", "10s", "--duration", fmt.Sprintf("%ds", seconds)}, s.args(n)...)
		cmd := exec.Command(headwater, args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("headwater bench with %d %s: %w", n, s.name, err)
		}
		var r load.Report
		if err := json.Unmarshal(out, &r); err != nil {
			return fmt.Errorf("read report: %w", err)
		}
		if r.Server == nil {
			return errors.New("there is no usage of the server in the report: this works on Linux only")
		}
		points = append(points, pointOf(n, &r))
		fmt.Fprintf(os.Stderr, "%d %s: %.1f%% of a core, %.0f MB\n", n, s.name, r.Server.CPUPercent, float64(r.Server.RSS)/1e6)
	}
	b, err := json.MarshalIndent(points, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// point is what a picture shows of one load.
type point struct {
	Count      int     `json:"count"`
	CPUPercent float64 `json:"cpu_percent"` // of a core, of the server
	RSS        int64   `json:"rss_bytes"`
	Client     float64 `json:"client_cpu_percent"`
	Delay99    float64 `json:"delay_p99_ms"` // 0 where nobody watched
	Lost       int64   `json:"lost_frames"`
	// Late is how late the client itself was, the 99th percentile in milliseconds: whether to believe the rest.
	Late float64 `json:"late_p99_ms"`
}

func pointOf(count int, r *load.Report) point {
	p := point{Count: count, CPUPercent: r.Server.CPUPercent, RSS: r.Server.RSS, Late: r.Publishers.Late.P99}
	if r.Client != nil {
		p.Client = r.Client.CPUPercent
	}
	for _, v := range r.Viewers {
		p.Delay99 = max(p.Delay99, v.Delay.P99)
	}
	p.Lost, _ = r.Lost()
	return p
}
