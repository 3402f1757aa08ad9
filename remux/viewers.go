package remux

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Viewer is one client that reads a stream as it comes.
type Viewer struct {
	// Protocol is "flv", "ts" or "rtmp".
	Protocol string
	Remote   netip.AddrPort
	// Agent is the name the player gives itself; untrusted text.
	Agent string
	// Sent returns how many bytes the viewer has taken so far; nil is not known.
	Sent func() uint64
	// End cuts the viewer off. It must not block, and may be called more than once.
	End func()
}

// ViewerInfo is what an operator sees of a viewer.
type ViewerInfo struct {
	// ID is unique in the process, and grows: later viewers have higher ones.
	ID       uint64     `json:"id"`
	Stream   StreamName `json:"stream"`
	Protocol string     `json:"protocol"`
	Remote   string     `json:"remote"`
	Agent    string     `json:"agent,omitempty"`
	Started  time.Time  `json:"started"`
	// Sent is how many bytes were sent to it, with the framing of the protocol.
	Sent uint64 `json:"sent_bytes"`
}

// viewers are the viewers of a stream. Their lock is taken last, and nothing is called with
// it held.
type viewers struct {
	count atomic.Int64
	mu    sync.Mutex
	byID  map[uint64]*viewer
}

type viewer struct {
	Viewer
	info ViewerInfo
}

// now is what an operator sees of a viewer at this moment.
func (v *viewer) now() ViewerInfo {
	info := v.info
	if v.Sent != nil {
		info.Sent = v.Sent()
	}
	return info
}

// AddViewer counts a viewer until the returned function is called.
func (s *Stream) AddViewer(v Viewer) (remove func()) {
	id := s.hub.viewerIDs.Add(1)
	entry := &viewer{Viewer: v, info: ViewerInfo{
		ID: id, Stream: s.name, Protocol: v.Protocol, Remote: v.Remote.String(),
		Agent: cutName(v.Agent), Started: s.hub.now(),
	}}
	s.viewers.mu.Lock()
	if s.viewers.byID == nil {
		s.viewers.byID = make(map[uint64]*viewer)
	}
	s.viewers.byID[id] = entry
	s.viewers.mu.Unlock()
	s.viewers.count.Add(1)
	return sync.OnceFunc(func() {
		s.viewers.count.Add(-1)
		s.viewers.mu.Lock()
		delete(s.viewers.byID, id)
		s.viewers.mu.Unlock()
	})
}

// Viewers returns the number of viewers that read the stream as it comes (FLV,
// RTMP). While there is none, nobody notices a few milliseconds of delay.
func (s *Stream) Viewers() int { return int(s.viewers.count.Load()) }

// ViewersByProtocol counts the viewers of each protocol that has any.
func (s *Stream) ViewersByProtocol() map[string]int {
	s.viewers.mu.Lock()
	defer s.viewers.mu.Unlock()
	counts := make(map[string]int)
	for _, v := range s.viewers.byID {
		counts[v.Protocol]++
	}
	return counts
}

// Viewers returns at most limit viewers whose ID is higher than after, lowest first. With a
// stream it returns that stream's alone.
func (h *Hub) Viewers(stream StreamName, after uint64, limit int) []ViewerInfo {
	var found []*viewer
	for _, s := range h.Streams() {
		if stream != "" && s.name != stream {
			continue
		}
		s.viewers.mu.Lock()
		for id, v := range s.viewers.byID {
			if id > after {
				found = append(found, v)
			}
		}
		s.viewers.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b *viewer) int { return cmp.Compare(a.info.ID, b.info.ID) })
	var list []ViewerInfo
	for _, v := range found[:min(len(found), limit)] {
		list = append(list, v.now())
	}
	return list
}

// EndViewer cuts a viewer off. It returns false if there is none with that ID.
func (h *Hub) EndViewer(id uint64) bool {
	for _, s := range h.Streams() {
		s.viewers.mu.Lock()
		v := s.viewers.byID[id]
		s.viewers.mu.Unlock()
		if v != nil {
			v.End()
			return true
		}
	}
	return false
}
