package hls

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/remux"
)

// clockRun plays a stream while the system clock is set by a step, restarts the server with
// the clock set back by it, or not, and says all that may not depend on it: what is listed when,
// what is in the storage when, and where the stream ends.
func clockRun(t *testing.T, step time.Duration, back bool) (log []string) {
	messages := readMessages(t, sampleFLV)
	var offset time.Duration
	now := func() time.Time { return time.Now().Add(offset) }
	config := Config{Grace: 20 * time.Second, Now: now, Retain: Retention{Age: 15 * time.Second}}
	onStage(t, config, func(s *stage) {
		began := time.Now()
		note := func(what string) {
			s.look()
			stored := 0
			for name := range contents(s.t, s.store.Memory) {
				if path.Base(name) != journalName {
					stored++
				}
			}
			tags := 0
			if n := len(s.history.Media); n > 0 {
				tags = len(s.history.Media[n-1].Body)
			}
			log = append(log, fmt.Sprintf("%v: %s: %d versions, the last of %d bytes, %d stored", time.Since(began), what, len(s.history.Media), tags, stored))
		}
		hub := remux.NewHub(remux.Config{Grace: config.Grace, Sinks: []remux.SinkFactory{s.server}, Now: now})
		p := s.loop(hub, messages, 4, 0)
		note("before the step")
		offset = step
		p.End(remux.EndUnpublished)
		p = s.loop(hub, messages, 10, 100_000)
		note("after the step")
		s.crash()
		hub.Close()
		p.End(remux.EndUnpublished)
		if back {
			offset = 0
		}
		before := string(s.lastMedia().Body)
		s.restart()
		if after := string(s.lastMedia().Body); after != before {
			t.Errorf("step %v: the window was\n%s\nand is\n%s", step, before, after)
		}
		hub = remux.NewHub(remux.Config{Grace: config.Grace, Sinks: []remux.SinkFactory{s.server}, Now: now})
		defer hub.Close()
		s.pass(5 * time.Second)
		note("after the restart")
		p = s.loop(hub, messages, 5, 50_000)
		p.End(remux.EndUnpublished)
		s.mark(hlscheck.PublisherLeft)
		note("after the next publication")
		s.pass(19 * time.Second)
		note("within the grace")
		s.pass(2 * time.Second)
		note("after the grace")
		if !strings.HasSuffix(string(s.lastMedia().Body), "#EXT-X-ENDLIST\n") {
			t.Errorf("step %v: no end after the grace", step)
		}
		r := s.report("date-not-now")
		for _, seg := range r.Segments {
			log = append(log, fmt.Sprintf("segment %d: %v, discontinuity %t", seg.Sequence, seg.Duration, seg.Discontinuity))
		}
		s.pass(time.Minute)
		log = append(log, fmt.Sprintf("%d blobs are left", len(contents(s.t, s.store.Memory))))
	})
	return log
}

func TestASystemClockThatIsSetByADayChangesNothingThroughARestart(t *testing.T) {
	want := clockRun(t, 0, false)
	if len(want) < 30 || want[len(want)-1] != "0 blobs are left" {
		t.Fatalf("without a step:\n%s", strings.Join(want, "\n"))
	}
	for _, step := range []time.Duration{25 * time.Hour, -25 * time.Hour} {
		for _, back := range []bool{false, true} {
			if got := clockRun(t, step, back); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("a step of %v, back at the restart %t:\n%s\nwithout it:\n%s", step, back, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}
