package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// findingLog writes the findings of diagnoses to the log. They come with a stream's lock held,
// and the log may be a pipe that nobody reads, so a goroutine writes them.
type findingLog struct {
	logger *slog.Logger
	queue  chan heardFinding
	lost   atomic.Uint64 // findings that found the queue full
}

type heardFinding struct {
	stream     remux.StreamName
	generation uint64
	finding    remux.Finding
}

// maxHeardFindings is how many findings may wait to be written: a minute's worth when every
// tenth of a thousand streams turns bad at once.
const maxHeardFindings = 1_000

func newFindingLog(logger *slog.Logger) *findingLog {
	return &findingLog{logger: logger, queue: make(chan heardFinding, maxHeardFindings)}
}

// hear is a remux.Events.Finding. It never blocks.
func (l *findingLog) hear(stream remux.StreamName, p *remux.Publication, f remux.Finding) {
	select {
	case l.queue <- heardFinding{stream, p.Generation(), f}:
	default:
		l.lost.Add(1)
	}
}

// start begins to write. The function that it returns writes what still waits, and ends it.
func (l *findingLog) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case f := <-l.queue:
				l.write(f)
			case <-ctx.Done():
				for len(l.queue) > 0 {
					l.write(<-l.queue)
				}
				return
			}
		}
	})
	return func() {
		cancel()
		writing.Wait()
	}
}

func (l *findingLog) write(h heardFinding) {
	if lost := l.lost.Swap(0); lost > 0 {
		l.logger.Warn("findings were not logged, there were too many", "findings", lost)
	}
	f := h.finding
	what, level := "finding raised", slog.LevelInfo
	if !f.Active {
		what = "finding cleared"
	} else if f.Severity == remux.Warning {
		level = slog.LevelWarn
	}
	l.logger.Log(context.Background(), level, what, "stream", string(h.stream), "generation", h.generation,
		"code", string(f.Code), "measured", f.Measured, "advice", f.Advice)
}

// cannotCarry names the outputs that are on and cannot carry a codec. FLV and RTMP carry all.
func cannotCarry(hlsEnabled bool) func(flvtag.Codec) string {
	return func(c flvtag.Codec) string {
		if hlsEnabled && !hls.Carries(c) {
			return "HLS"
		}
		return ""
	}
}
