package admin

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// newFullHandler has every source, and a stream that is live.
func newFullHandler(t *testing.T, change func(*Config)) (http.Handler, *remux.Hub) {
	t.Helper()
	hub := remux.NewHub(remux.Config{Grace: time.Hour})
	t.Cleanup(hub.Close)
	if _, err := hub.Publish("live/test", remux.Publisher{Encoder: "test encoder"}); err != nil {
		t.Fatal(err)
	}
	config := Config{
		Streams: hub,
		Ready:   func() (bool, string) { return true, "" },
		Logger:  slog.New(slog.DiscardHandler),
		Sources: Sources{
			Version:  "v1.2.3",
			Started:  time.Now().Add(-time.Hour),
			Totals:   hub.Totals,
			Refusals: func() map[string]uint64 { return map[string]uint64{"busy": 3, "bad-name": 1} },
			Skipped:  func() map[string]uint64 { return map[string]uint64{"unknown-type": 6} },
			Viewers: map[string]func() ViewerCounts{
				"flv": func() ViewerCounts {
					return ViewerCounts{Viewers: 7, BytesSent: 1 << 40, Jumps: 2, Behind: 1, Stalled: 3}
				},
				"rtmp": func() ViewerCounts { return ViewerCounts{Viewers: 1, BytesSent: 99} },
			},
			Segments: func() SegmentCounts {
				return SegmentCounts{Listed: 500, Lost: 4, Evicted: 3, StorageErrors: 5, StorageTimeouts: 2, FramesLeftOut: 6}
			},
			Storage: func() StorageHealth {
				return StorageHealth{Reason: "no space left", Since: time.Now(), Faulty: 2, Unread: 4, Held: 1 << 20, Stored: 1 << 30}
			},
			Limits: map[string]float64{"rtmp.max_connections": 10000, "rtmp.handshake_timeout": 5},
		},
	}
	if change != nil {
		change(&config)
	}
	return NewHandler(config), hub
}

func TestTheServerSaysWhatItIsAndWhatItRefused(t *testing.T) {
	h, _ := newFullHandler(t, nil)
	w := request(h, "GET", "/api/v1/server", "")
	var info struct {
		Version  string
		Uptime   float64 `json:"uptime_seconds"`
		Streams  int
		Live     int
		Refusals map[string]int
		Limits   map[string]float64
		Storage  StorageHealth
	}
	if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil || w.Code != 200 {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	if info.Version != "v1.2.3" || info.Uptime < 3600 || info.Uptime > 3700 || info.Streams != 1 || info.Live != 1 ||
		info.Refusals["busy"] != 3 || info.Limits["rtmp.max_connections"] != 10000 {
		t.Errorf("%s", w.Body)
	}
	if s := info.Storage; s.OK || s.Reason != "no space left" || s.Since.IsZero() || s.Faulty != 2 || s.Unread != 4 || s.Held != 1<<20 || s.Stored != 1<<30 {
		t.Errorf("%s", w.Body)
	}
	h, _ = newFullHandler(t, func(c *Config) { c.Token = "secret" })
	if w := request(h, "GET", "/api/v1/server", ""); w.Code != 401 {
		t.Errorf("without the token: %d", w.Code)
	}
}
