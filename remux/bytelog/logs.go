package bytelog

import (
	"sync"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Logs holds the logs that are being watched, one for each stream and key: what nobody
// watches is not rendered.
type Logs[K comparable] struct {
	// Make makes the log for a key. It is called with a lock held that SetLatency takes.
	Make func(K) *Log

	running sync.WaitGroup // sweepers

	mu   sync.Mutex
	logs map[*remux.Stream]map[K]*Log
}

// Watch returns the log of a stream, attaching it for its first viewer. leave must be called
// once. The log is nil if the stream has ended.
func (s *Logs[K]) Watch(stream *remux.Stream, key K) (l *Log, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l = s.logs[stream][key]
	if l == nil || l.isRetired() {
		l = s.Make(key)
		l.running = &s.running
		if !stream.Attach(l) {
			return nil, nil
		}
		if s.logs == nil {
			s.logs = make(map[*remux.Stream]map[K]*Log)
		}
		if s.logs[stream] == nil {
			s.logs[stream] = make(map[K]*Log)
		}
		s.logs[stream][key] = l
	}
	l.viewers++
	return l, func() { s.leave(stream, key, l) }
}

// leave detaches a log when its last viewer leaves.
func (s *Logs[K]) leave(stream *remux.Stream, key K, l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.viewers--; l.viewers > 0 {
		return
	}
	stream.Detach(l)
	if s.logs[stream][key] == l { // else another has taken its place
		delete(s.logs[stream], key)
	}
	if len(s.logs[stream]) == 0 {
		delete(s.logs, stream)
	}
}

// SetLatency sets the latency of all logs that are being watched. Make is to give it to those that come later.
func (s *Logs[K]) SetLatency(latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, logs := range s.logs {
		for _, l := range logs {
			l.setLatency(latency)
		}
	}
}

// Wait waits until nothing runs for any viewer. All of them must have ended.
func (s *Logs[K]) Wait() { s.running.Wait() }
