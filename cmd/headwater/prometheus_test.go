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
	s := runServer(t, func(c *config.Config) {
		c.Metrics.PerStream = true
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
