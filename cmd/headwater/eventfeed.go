package main

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/remux"
)

// hubEvents tells the bus what happens in the hub. All of it is called with a stream's lock held, and
// the bus never waits.
func (s *server) hubEvents() remux.Events {
	emit := func(t events.Type, name remux.StreamName, generation uint64, data any) {
		s.events.Emit(events.Event{Type: t, Stream: string(name), Generation: generation, Data: data})
	}
	return remux.Events{
		Began: func(name remux.StreamName, p *remux.Publication) {
			who := p.Publisher()
			emit(events.PublishStarted, name, p.Generation(), events.Publish{
				Remote: who.Remote.String(), Protocol: who.Protocol, Encoder: p.Encoder(),
			})
		},
		Live: func(name remux.StreamName, p *remux.Publication, tracks remux.Tracks) {
			emit(events.StreamLive, name, p.Generation(), events.Live{Video: tracks.Video, Audio: tracks.Audio})
		},
		Ended: func(name remux.StreamName, p *remux.Publication, reason remux.EndReason, c remux.Counters) {
			emit(events.PublishEnded, name, p.Generation(), events.End{
				Reason: string(reason), Seconds: time.Since(p.Started()).Seconds(),
				Bytes: c.Bytes, VideoFrames: c.VideoFrames, AudioFrames: c.AudioFrames,
			})
			if reason != remux.EndTakenOver && reason != remux.EndUpgrade {
				emit(events.StreamIdle, name, 0, nil)
			}
		},
		Finding: func(name remux.StreamName, p *remux.Publication, f remux.Finding) {
			if s.retired.Load() { // it is the next process's finding, too
				return
			}
			s.findings.hear(name, p, f)
			t := events.FindingRaised
			if !f.Active {
				t = events.FindingCleared
			}
			emit(t, name, p.Generation(), events.Finding{
				Code: string(f.Code), Severity: string(f.Severity), Measured: f.Measured, Advice: f.Advice,
			})
		},
		Closed: func(name remux.StreamName) {
			reason := "nobody-came-back"
			if s.draining.Load() {
				reason = string(remux.EndShutdown)
			}
			emit(events.StreamEnded, name, 0, events.End{Reason: reason})
		},
	}
}

// segmentListed tells the bus of a segment.
func (s *server) segmentListed(g hls.SegmentStatus) {
	s.events.Emit(events.Event{Type: events.SegmentPublished, Stream: string(g.Stream), Data: events.Segment{
		Path: g.Path, Sequence: g.Sequence, Seconds: g.Duration.Seconds(), Bytes: g.Size, Discontinuity: g.Discontinuity,
	}})
}

// viewerWatchEvery is how often a stream's number of viewers is said at most. Viewers come and go all
// the time; nobody needs to hear of each.
const viewerWatchEvery = 5 * time.Second

// startViewerWatch begins to tell the bus when a stream's number of viewers changes. The function that it
// returns ends that.
func (s *server) startViewerWatch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(viewerWatchEvery)
		defer ticker.Stop()
		said := map[remux.StreamName]map[string]int{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				said = s.sayViewers(said)
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// sayViewers emits what differs from what was said before, and returns what is said now.
func (s *server) sayViewers(said map[remux.StreamName]map[string]int) map[remux.StreamName]map[string]int {
	now := make(map[remux.StreamName]map[string]int)
	for _, stream := range s.hub.Streams() {
		name := stream.Name()
		counts := stream.ViewersByProtocol()
		if s.hls != nil {
			if st, ok := s.hls.Status(name); ok && st.Clients > 0 {
				counts["hls"] = st.Clients
			}
		}
		now[name] = counts
		if maps.Equal(counts, said[name]) {
			continue // a stream without viewers says so only when it had some
		}
		total := 0
		for _, n := range counts {
			total += n
		}
		s.events.Emit(events.Event{Type: events.ViewersChanged, Stream: string(name),
			Data: events.Viewers{Total: total, ByProtocol: counts}})
	}
	return now
}

// hookStatus tells the API of webhooks.
func (s *server) hookStatus() []admin.HookStatus {
	var list []admin.HookStatus
	for _, st := range s.hooks.Status() {
		list = append(list, admin.HookStatus(st))
	}
	return list
}
