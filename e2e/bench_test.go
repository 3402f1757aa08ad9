package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchReport is what the test needs of the report of `headwater bench --json`.
type benchReport struct {
	Seconds float64 `json:"seconds"`
	Server  struct {
		CPU float64 `json:"cpu_s"`
		RSS int64   `json:"rss_bytes"`
	} `json:"server"`
	Publishers struct {
		Accepted int   `json:"accepted"`
		Frames   int64 `json:"frames"`
	} `json:"publishers"`
	Viewers []struct {
		Protocol   string           `json:"protocol"`
		Joined     int              `json:"joined"`
		LookedInto int              `json:"looked_into"`
		Received   int64            `json:"received_bytes"`
		Frames     int64            `json:"frames"`
		Lost       int64            `json:"lost_frames"`
		Repeated   int64            `json:"repeated_frames"`
		Segments   int64            `json:"segments"`
		Reconnects int64            `json:"reconnects"`
		Errors     map[string]int64 `json:"errors"`
		Delay      struct {
			Count int64   `json:"count"`
			P50   float64 `json:"p50_ms"`
			Max   float64 `json:"max_ms"`
		} `json:"delay"`
	} `json:"viewers"`
}

// What `headwater bench` reports of a healthy server is what the server itself says, and nothing is lost.
func TestBenchAgreesWithTheServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// As little as shows everything: the server has the race detector in it, and company.
	cmd := command(ctx, t, path, "bench", "--json", "--publish", s.rtmp+"/live/bench%d", "--http", s.http,
		"--pid", strconv.Itoa(s.cmd.Process.Pid), "--publishers", "2", "--flv", "6", "--ws", "2", "--rtmp", "4", "--ts", "3", "--hls", "2",
		"--sample", "2", "--bitrate", "500k", "--audio", "32k", "--size", "320x240", "--fps", "20", "--gop", "1s",
		"--warmup", "1s", "--duration", "5s")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("headwater bench: %v\n%s%s", err, stderr.String(), stdout.String())
	}
	var r benchReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Seconds < 5 || r.Server.CPU <= 0 || r.Server.RSS < 1<<20 || r.Publishers.Accepted != 2 || r.Publishers.Frames < 50 {
		t.Errorf("%+v", r)
	}
	if len(r.Viewers) != 5 {
		t.Errorf("%d kinds of viewers, want 5: %+v", len(r.Viewers), r.Viewers)
	}
	metrics := scrape(ctx, t, s.admin+"/metrics")
	received, sent := 0.0, 0.0
	for _, v := range r.Viewers {
		// On a machine that stands still frames come in heaps, and fewer of them; none is lost.
		if v.Joined == 0 || v.LookedInto == 0 || v.Lost != 0 || v.Repeated != 0 || v.Reconnects != 0 || len(v.Errors) != 0 ||
			v.Frames < 20 || v.Delay.Count == 0 || v.Delay.P50 <= 0 || v.Delay.Max > 60_000 {
			t.Errorf("%+v", v)
		}
		if v.Protocol != "HLS" {
			received += float64(v.Received)
		}
	}
	for name, value := range metrics {
		if strings.HasPrefix(name, "headwater_sent_bytes_total{") && !strings.Contains(name, `"hls"`) {
			sent += value
		}
	}
	// What is on its way at the end is counted by one of them only, and so are handshakes and answers.
	if received < 0.9*sent || received > 1.1*sent {
		t.Errorf("viewers received %.0f bytes, the server sent %.0f", received, sent)
	}
}

// scrape returns the samples of a metrics page.
func scrape(ctx context.Context, t *testing.T, url string) map[string]float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			samples[name] = v
		}
	}
	return samples
}
