package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/remux"
)

func TestEventsTellAPublicationFromItsBeginningToItsEnd(t *testing.T) {
	s := runServer(t, nil)
	c := follow(t, s.adminURL("/api/v1/events"), "")
	if e := c.until(events.ServerStarted); e.Data["version"] != currentVersion() {
		t.Errorf("%+v", e)
	}
	p, _ := publishSample(t, s, "live/test", 1)
	if e := c.until(events.PublishStarted); e.Stream != "live/test" || e.Generation != 1 || e.Data["encoder"] != "test encoder" {
		t.Errorf("%+v", e)
	}
	if e := c.until(events.StreamLive); e.Data["video"] != true || e.Data["audio"] != true {
		t.Errorf("%+v", e)
	}
	if e := c.until(events.SegmentPublished); e.Data["sequence"] != 0.0 || !strings.HasPrefix(e.Data["path"].(string), "/live/test/") {
		t.Errorf("%+v", e)
	}
	p.End(remux.EndUnpublished)
	ended := c.until(events.PublishEnded)
	if ended.Data["reason"] != "unpublished" || ended.Data["video_frames"] != 75.0 {
		t.Errorf("%+v", ended)
	}
	c.until(events.StreamIdle)

	// Who comes back with the ID of an event goes on behind it.
	again := follow(t, s.adminURL("/api/v1/events?types=stream.idle,publish.ended"), ended.ID)
	if e, _ := again.next(); e.Type != string(events.StreamIdle) {
		t.Errorf("resumed with %+v", e)
	}
	// After a restart nobody knows what was missed, and it is said.
	stranger := follow(t, s.adminURL("/api/v1/events?types=stream.idle"), "abc-5")
	if e, _ := stranger.next(); e.Type != string(events.Missed) || e.Data["events"] != 0.0 {
		t.Errorf("another run's reader begins with %+v", e)
	}
}

func TestATakeoverIsNoIdleStream(t *testing.T) {
	s := runServer(t, nil)
	c := follow(t, s.adminURL("/api/v1/events?types=publish.started,publish.ended,stream.idle"), "")
	publishSample(t, s, "live/test", 1)
	second, _ := publishSample(t, s, "live/test", 1)
	second.End(remux.EndDisconnected)
	var got []string
	for range 5 {
		e, ok := c.next()
		if !ok {
			t.Fatal("the event stream ended")
		}
		got = append(got, e.Type)
	}
	want := "publish.started publish.ended publish.started publish.ended stream.idle"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
}

func TestEventsSayNoSecret(t *testing.T) {
	s := runServer(t, nil)
	p, _ := publishSample(t, s, "live/test", 1)
	p.End(remux.EndUnpublished)
	for _, e := range s.events.Follow(events.ID{}).Ready(nil, 1000) {
		text, err := json.Marshal(e)
		if err != nil || strings.Contains(string(text), "secret") {
			t.Errorf("%v: %s", err, text)
		}
	}
}

func TestViewersAreSaidWhenTheyChange(t *testing.T) {
	s := runServer(t, nil)
	publishSample(t, s, "live/test", 2)
	last := s.events.Last()
	said := s.sayViewers(nil)
	watch(t, s, "/live/test.flv")
	said = s.sayViewers(said)
	s.sayViewers(said)
	var totals []int
	for _, e := range s.events.Follow(last).Ready(nil, 1000) {
		if v, ok := e.Data.(events.Viewers); ok {
			totals = append(totals, v.Total)
		}
	}
	if len(totals) != 1 || totals[0] != 1 {
		t.Errorf("said %v, want 1 once", totals)
	}
}

func TestTheEndOfTheServerEndsEventStreams(t *testing.T) {
	got := make(chan []string, 1)
	t.Run("server", func(t *testing.T) {
		s := runServer(t, nil)
		resp, err := http.Get(s.adminURL("/api/v1/events?types=publish.ended,stream.ended"))
		if err != nil {
			t.Fatal(err)
		}
		publishSample(t, s, "live/test", 1)
		go func() {
			defer func() { _ = resp.Body.Close() }()
			var types []string
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					types = append(types, kind)
				}
			}
			got <- types
		}()
	}) // ends with the server
	select {
	case types := <-got:
		if strings.Join(types, " ") != "publish.ended stream.ended" {
			t.Errorf("the end was told as %v", types)
		}
	case <-time.After(patience):
		t.Fatal("the event stream did not end with the server")
	}
}
