package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

const prometheusExamples = "../../docs/examples/prometheus"

// promtool runs Prometheus' own checker.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir, cmd.Stdin = prometheusExamples, stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s (apt-get install prometheus): %v\n%s", strings.Join(args, " "), err, out)
	}
}

// realMetrics returns the /metrics of a server that has everything.
func realMetrics(t *testing.T) []byte {
	t.Helper()
	keys := t.TempDir() + "/keys"
	if err := os.WriteFile(keys, []byte("live/* 0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := config.TLSListener{Addr: "127.0.0.1:0", Cert: dir + "/cert.pem", Key: dir + "/key.pem"}
	writeCertificate(t, files, 1)
	s := runServer(t, func(c *config.Config) {
		c.HTTPS = files
		c.Auth.KeysFile, c.Auth.Publish = keys, config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyKeys}}}
		c.Metrics.PerStream = true
		c.HTTP.AccessLog = t.TempDir() + "/access.log"
		c.Hooks.URLs, c.Hooks.Secret, c.Hooks.Dir = "http://127.0.0.1:1/", "sixteen characters", t.TempDir()
	})
	publishSample(t, s, "live/test", 2)
	watch(t, s, "/live/test.flv")
	eventually(t, "a segment", func() bool { return s.hls.Metrics().SegmentsListed.Load() > 0 })
	resp, err := http.Get(s.adminURL("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestMetricsFollowTheConventions(t *testing.T) {
	promtool(t, bytes.NewReader(realMetrics(t)), "check", "metrics")
}

func TestTheAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, nil, "check", "rules", "rules.yaml")
	promtool(t, nil, "test", "rules", "rules_test.yaml")
	promtool(t, nil, "check", "config", "prometheus.yaml")
}

// TestTheExamplesNameMetricsThatExist compares what the dashboard and the alerts ask for with what there is.
func TestTheExamplesNameMetricsThatExist(t *testing.T) {
	exists := map[string]bool{"up": true} // Prometheus makes it
	for _, sample := range regexp.MustCompile(`(?m)^([a-z_]+)[{ ]`).FindAllSubmatch(realMetrics(t), -1) {
		exists[string(sample[1])] = true
	}
	name := regexp.MustCompile(`\b(headwater|go|process)_[a-z_]+`)
	asked := map[string]bool{}
	for _, expr := range append(dashboardQueries(t), ruleExpressions(t)...) {
		for _, metric := range name.FindAllString(expr, -1) {
			asked[metric] = true
			if !exists[metric] {
				t.Errorf("no metric %s, which %q asks for", metric, expr)
			}
		}
	}
	if len(asked) < 25 {
		t.Errorf("only %d metrics are asked for: are the examples read?", len(asked))
	}
}

// TestWhatOperatorsArePromisedIsMeasured has a row for everything that must never go missing.
func TestWhatOperatorsArePromisedIsMeasured(t *testing.T) {
	metrics := string(realMetrics(t))
	for what, series := range map[string][]string{
		"ingest bitrate":        {"headwater_ingest_bytes_per_second "},
		"gaps":                  {"headwater_ingest_gaps_total "},
		"publications":          {"headwater_publications_begun_total 1", `headwater_publications_ended_total{reason="disconnected"}`},
		"segment publish delay": {`headwater_hls_publish_delay_seconds_bucket{le="0.1"}`, "headwater_hls_publish_delay_seconds_count"},
		"playlist age":          {"headwater_hls_playlist_age_seconds ", `headwater_stream_playlist_age_seconds{stream="live/test"}`},
		"viewers":               {`headwater_viewers{protocol="flv"} 1`, `headwater_viewers{protocol="hls"}`, `headwater_viewers{protocol="rtmp"}`, `headwater_viewers{protocol="ts"}`},
		"bytes out by protocol": {`headwater_sent_bytes_total{protocol="flv"}`, `headwater_sent_bytes_total{protocol="hls"}`, `headwater_sent_bytes_total{protocol="rtmp"}`, `headwater_sent_bytes_total{protocol="ts"}`},
		"drops by reason":       {`headwater_ingest_dropped_total{reason="before-keyframe"}`, `headwater_viewers_closed_slow_total{protocol="flv",reason="stalled"}`, `headwater_viewer_jumps_total{protocol="flv"}`},
		"refusals by reason":    {`headwater_refusals_total{reason="http-malformed-request"}`},
		"fan-out delay":         {`headwater_fanout_delay_seconds_bucket{protocol="flv",le="0.1"}`, `headwater_fanout_delay_seconds_bucket{protocol="rtmp",le="+Inf"}`},
		"storage errors":        {"headwater_hls_storage_errors_total ", "headwater_hls_faulty_channels ", "headwater_hls_unread_segments ", "headwater_hls_segments_lost_total "},
		"garbage collection":    {"go_gc_duration_seconds_count", "go_memstats_heap_alloc_bytes "},
		"goroutines":            {"go_goroutines "},
		"the process":           {"process_open_fds ", "process_resident_memory_bytes ", "process_cpu_seconds_total "},
	} {
		for _, one := range series {
			if !strings.Contains(metrics, "\n"+one) {
				t.Errorf("%s: there is no %s", what, one)
			}
		}
	}
}

// TestEveryAlertHasARunbook looks for what an alert's runbook_url names.
func TestEveryAlertHasARunbook(t *testing.T) {
	rules, err := os.ReadFile(prometheusExamples + "/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllSubmatch(rules, -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, alert := range alerts {
		name := string(alert[1])
		url := "/docs/operations.md#" + strings.ToLower(name) + `"`
		if strings.Count(string(rules), url) != 1 {
			t.Errorf("%s has no runbook_url that ends in %s", name, url)
		}
		if _, section, ok := strings.Cut(string(page), "\n### "+name+"\n"); !ok || len(strings.TrimSpace(strings.Split(section, "\n#")[0])) < 100 {
			t.Errorf("docs/operations.md does not say what to do about %s", name)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Headwater\w+)$`).FindAllSubmatch(page, -1) {
		if !bytes.Contains(rules, append([]byte("alert: "), append(heading[1], '\n')...)) {
			t.Errorf("there is a runbook for %s, and no such alert", heading[1])
		}
	}
}

func dashboardQueries(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile(prometheusExamples + "/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	rules := "groups: [{name: dashboard, rules: ["
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			list = append(list, target.Expr)
			quoted, _ := json.Marshal(target.Expr)
			rules += "{record: x, expr: " + string(quoted) + "},"
		}
	}
	// As rules, promtool reads the queries too.
	file := t.TempDir() + "/rules.yaml"
	if err := os.WriteFile(file, []byte(rules+"]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", "--lint=none", file)
	return list
}

func ruleExpressions(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile(prometheusExamples + "/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^ +expr: (.*)$`).FindAllSubmatch(text, -1) {
		list = append(list, string(line[1]))
	}
	return list
}
