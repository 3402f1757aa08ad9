package admin

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, h http.Handler) map[string]*dto.MetricFamily {
	t.Helper()
	w := request(h, "GET", "/metrics", "")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("%d, %s", w.Code, w.Header())
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// flat renders samples as name{label="value"} value.
func flat(families map[string]*dto.MetricFamily) map[string]float64 {
	out := make(map[string]float64)
	for name, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				out[key] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				out[key] = m.Gauge.GetValue()
			}
		}
	}
	return out
}

func TestMetricsTellWhatTheSourcesDo(t *testing.T) {
	h, hub := newFullHandler(t, nil)
	pub, err := hub.Publish("live/other", remux.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.Write(remux.Message{Type: 9, Payload: []byte{0x27}}); err != nil {
		t.Fatal(err)
	}
	pub.End(remux.EndUnpublished)
	families := scrape(t, h)
	got := flat(families)
	for key, want := range map[string]float64{
		`headwater_streams{state="live"}`:                                      1,
		`headwater_streams{state="idle"}`:                                      1,
		`headwater_publications_begun_total`:                                   2,
		`headwater_publications_ended_total{reason="unpublished"}`:             1,
		`headwater_publications_ended_total{reason="taken-over"}`:              0,
		`headwater_ingest_bytes_total`:                                         1,
		`headwater_ingest_messages_total`:                                      1,
		`headwater_ingest_frames_total{track="video"}`:                         0,
		`headwater_ingest_frames_total{track="audio"}`:                         0,
		`headwater_ingest_keyframes_total`:                                     0,
		`headwater_timestamp_repairs_total{kind="clamped"}`:                    0,
		`headwater_timestamp_repairs_total{kind="realigned"}`:                  0,
		`headwater_timestamp_repairs_total{kind="jumped"}`:                     0,
		`headwater_ingest_dropped_total{reason="malformed"}`:                   1,
		`headwater_refusals_total{reason="busy"}`:                              3,
		`headwater_refusals_total{reason="bad-name"}`:                          1,
		`headwater_rtmp_skipped_total{reason="unknown-type"}`:                  6,
		`headwater_viewers{protocol="flv"}`:                                    7,
		`headwater_viewers{protocol="rtmp"}`:                                   1,
		`headwater_sent_bytes_total{protocol="flv"}`:                           1 << 40,
		`headwater_sent_bytes_total{protocol="rtmp"}`:                          99,
		`headwater_viewer_jumps_total{protocol="flv"}`:                         2,
		`headwater_viewers_closed_slow_total{protocol="flv",reason="behind"}`:  1,
		`headwater_viewers_closed_slow_total{protocol="flv",reason="stalled"}`: 3,
		`headwater_hls_segments_listed_total`:                                  500,
		`headwater_hls_segments_lost_total`:                                    4,
		`headwater_hls_storage_errors_total`:                                   5,
		`headwater_hls_storage_timeouts_total`:                                 2,
		`headwater_hls_segments_evicted_total`:                                 3,
		`headwater_hls_faulty_channels`:                                        2,
		`headwater_hls_unread_segments`:                                        4,
		`headwater_hls_held_bytes`:                                             1 << 20,
		`headwater_hls_stored_bytes`:                                           1 << 30,
		`headwater_hls_frames_left_out_total`:                                  6,
		`headwater_findings_active{code="gop-too-long"}`:                       0,
		`headwater_findings_raised_total{code="gaps-between-packets"}`:         0,
	} {
		if value, ok := got[key]; !ok || value != want {
			t.Errorf("%s is %v (there: %t), want %v", key, value, ok, want)
		}
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "process_open_fds", "headwater_build_info"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	for name, family := range families {
		if family.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		if strings.HasPrefix(name, "headwater_") && strings.HasSuffix(name, "_total") != (family.GetType() == dto.MetricType_COUNTER) {
			t.Errorf("%s is a %s", name, family.GetType())
		}
	}
}

func TestPublishersMakeNoSeriesUnlessAsked(t *testing.T) {
	for _, perStream := range []bool{false, true} {
		h, hub := newFullHandler(t, func(c *Config) { c.PerStream = perStream })
		before := len(flat(scrape(t, h)))
		for i := range 3 * maxStreamSeries / 2 {
			if _, err := hub.Publish(remux.StreamName(fmt.Sprintf("live/s%04d", i)), remux.Publisher{}); err != nil {
				t.Fatal(err)
			}
		}
		families := scrape(t, h)
		after := flat(families)
		if grown := len(after) - before; !perStream && grown != 0 {
			t.Errorf("%d more series for more streams", grown)
		}
		if !perStream {
			for _, key := range slices.Sorted(maps.Keys(after)) {
				if strings.Contains(key, "live/") {
					t.Errorf("a stream's name in %s", key)
				}
			}
			continue
		}
		if n := len(families["headwater_stream_live"].GetMetric()); n != maxStreamSeries {
			t.Errorf("%d streams have series, want %d", n, maxStreamSeries)
		}
		if after[`headwater_stream_live{stream="live/s0007"}`] != 1 {
			t.Error("a live stream is not")
		}
	}
}

func TestMetricsHaveWhatTheDiagnosisMeasured(t *testing.T) {
	h, hub := newFullHandler(t, func(c *Config) { c.PerStream = true })
	pub, err := hub.Publish("live/repaired", remux.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []remux.Message{
		{Type: flvtag.Audio, Payload: []byte{0xAF, 0, 0x12, 0x10}},
		{Type: flvtag.Audio, Timestamp: 100, Payload: []byte{0xAF, 1, 0x21}},
		{Type: flvtag.Audio, Timestamp: 90, Payload: []byte{0xAF, 1, 0x21}},
	} {
		if err := pub.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	got := flat(scrape(t, h))
	if n := got[`headwater_stream_timestamp_repairs{kind="clamped",stream="live/repaired"}`]; n != 1 {
		t.Errorf("%v timestamps were clamped, want 1", n)
	}
	for _, name := range []string{"uneven_frames_ratio", "audio_drift_seconds", "last_gap_seconds", "behind_seconds"} {
		if _, ok := got["headwater_stream_"+name+`{stream="live/repaired"}`]; !ok {
			t.Errorf("no headwater_stream_%s", name)
		}
	}
}

func TestMetricsWithoutOutputs(t *testing.T) {
	h, _ := newFullHandler(t, func(c *Config) { c.Sources = Sources{Version: "v1"} })
	for name := range scrape(t, h) {
		if strings.HasPrefix(name, "headwater_") && name != "headwater_build_info" {
			t.Errorf("%s without a source", name)
		}
	}
}

func TestMetricsWantTheToken(t *testing.T) {
	h, _ := newFullHandler(t, func(c *Config) { c.Token = "secret" })
	if w := request(h, "GET", "/metrics", ""); w.Code != 401 {
		t.Errorf("%d", w.Code)
	}
	if w := request(h, "GET", "/metrics", "secret"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}
