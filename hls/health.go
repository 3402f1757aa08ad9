package hls

import (
	"errors"
	"syscall"
	"time"
)

// Health is how the storage is, and what that costs.
type Health struct {
	// OK: all channels can store their segments, and what an earlier run has left can be read.
	OK bool
	// Reason says why not, Since when since; of the channel that has failed longest, or of what
	// cannot be read. It names no stream: who asks for readiness need not know them.
	Reason string
	Since  time.Time
	// Channels is the number of channels that cannot store.
	Channels int
	// Unread is the number of segments of an earlier run that are listed, or may be asked for,
	// and could not be read when they were tried last.
	Unread int
	// Held is what is in memory because of it, in bytes.
	Held int64
	// Used is what all segments take in the storage, in bytes.
	Used int64
}

// Health returns how the storage is. A server whose storage fails still serves, from
// memory and as long as that lasts.
func (s *Server) Health() Health {
	h := Health{OK: true, Held: s.held.Load(), Used: s.used.Load()}
	now := time.Now()
	var unread error
	if h.Unread, h.Since, unread = s.unread.state(); h.Unread > 0 {
		h.OK, h.Reason = false, reasonOf(unread)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, n := range s.byName {
		for _, c := range n.all {
			since, fault := c.writer.state(now)
			if fault == nil {
				continue
			}
			if h.Channels++; h.Channels == 1 || since.Before(h.Since) {
				h.OK, h.Reason, h.Since = false, reasonOf(fault), since
			}
		}
	}
	return h
}

// reasonOf returns what the operating system said, if it did. The whole error is in the
// log.
func reasonOf(fault error) string {
	var errno syscall.Errno
	if errors.As(fault, &errno) {
		return errno.Error()
	}
	return fault.Error()
}
