package admin

import (
	"bufio"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/events"
)

// TestAnEventStreamOutlivesTheTimeLimitsOfAnswers follows events for longer than any other answer may take.
func TestAnEventStreamOutlivesTheTimeLimitsOfAnswers(t *testing.T) {
	bus := events.NewBus(16)
	const limit = 50 * time.Millisecond
	server := httptest.NewUnstartedServer(NewHandler(Config{Events: bus, Logger: slog.New(slog.DiscardHandler)}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
	server.Start()
	defer server.Close()
	defer bus.Close()
	resp, err := http.Get(server.URL + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	time.AfterFunc(5*limit, func() { bus.Emit(events.Event{Type: events.StreamIdle, Stream: "live/test"}) })
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), `"type":"stream.idle"`) {
			return
		}
	}
	t.Fatal("the event stream ended at a time limit")
}
