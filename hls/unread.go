package hls

import (
	"slices"
	"sync"
	"time"
)

// unread are the segments of an earlier run that could not be read when the server started. A disk fails once and
// reads the next time, so they stay listed and on the disk, and are tried again until it is known what they are.
type unread struct {
	mu    sync.Mutex
	count int
	fault error // of the newest attempt
	since time.Time
}

// maxRetryRead bounds how long a segment that could not be read is left alone: a disk that fails may take half a
// minute to say so, and other reads wait meanwhile.
const maxRetryRead = time.Minute

// doubt is a segment that could not be read.
type doubt struct {
	channel *Channel
	segment *segment
}

// doubtAll takes the segments that could not be read of what was taken up.
func (s *Server) doubtAll(found []*leftover) {
	var list []doubt
	var fault error
	for _, l := range found {
		for _, segment := range l.doubted {
			fault = l.unread[segment.sequence]
			l.channel.log.Error("segment of an earlier run not readable, listed all the same", "segment", segment.uri, "error", fault)
			list = append(list, doubt{l.channel, segment})
		}
	}
	if len(list) > 0 {
		s.unread.note(len(list), fault)
		s.channels.Go(func() { s.readAgain(list) })
	}
}

// note keeps how many segments cannot be read now, and why.
func (u *unread) note(count int, fault error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case count == 0:
		u.since = time.Time{}
	case u.count == 0:
		u.since = time.Now()
	}
	u.count, u.fault = count, fault
}

// state says how many segments cannot be read, since when, and why.
func (u *unread) state() (count int, since time.Time, fault error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.count, u.since, u.fault
}

// readAgain reads segments that could not be read, until all of them were, or have gone.
func (s *Server) readAgain(list []doubt) {
	for wait := retryStore; len(list) > 0; wait = min(2*wait, maxRetryRead) {
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return
		}
		var fault error
		list = slices.DeleteFunc(list, func(d doubt) bool {
			err := s.settles(d)
			if err != nil {
				fault = err
			}
			return err == nil
		})
		s.unread.note(len(list), fault)
	}
}

// settles finds out what a segment is. The error says that it could not be read again.
func (s *Server) settles(d doubt) error {
	if s.ctx.Err() != nil || d.segment.gone.Load() {
		return nil
	}
	e := entry{URI: d.segment.uri, Size: d.segment.size, SHA256: d.segment.sum}
	err := verifySegment(s.config.Storage, d.channel.folder(), &e)
	switch {
	case err == nil:
		d.channel.log.Info("segment of an earlier run readable again", "segment", d.segment.uri)
	case isDamage(err):
		// It is listed, and players go on behind it: that is better than other bytes under its address.
		d.channel.log.Error("segment of an earlier run lost, it is not given out", "segment", d.segment.uri, "error", err)
		s.gone(d.segment)
	default:
		return err
	}
	return nil
}
