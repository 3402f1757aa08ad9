package flv

import (
	"bytes"
	"encoding/binary"
	"sync"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// The framing of each tag in a log (RFC 9112, 7.1): a chunk size of fixed width, so
// that readers who want the bare tags can step over it.
const (
	chunkHeader  = len("00000000\r\n")
	chunkTrailer = len("\r\n")
)

// filter says which tracks a log carries.
type filter struct{ noAudio, noVideo bool }

func (f filter) drops(pkt *remux.Packet) bool {
	track, ok := pkt.Track()
	return ok && (track == remux.Audio && f.noAudio || track == remux.Video && f.noVideo)
}

// Log is a stream rendered as FLV. It is a remux.Sink.
type Log struct {
	filter  filter
	latency time.Duration

	mu     sync.Mutex
	tail   *slab
	joinAt position // where who joins begins
	begun  bool
	closed bool
	tracks remux.Tracks
	// The newest of each, which who joins is sent first.
	metadata, video, audio *remux.Packet
	// configs counts the changes of those, so that who jumps knows what it missed.
	configs uint64
	joinDTS int64
	// wake is closed and replaced when there is something new to read.
	wake    chan struct{}
	pending *time.Timer // runs while a wake is due
	due     bool

	// viewers is guarded by the server's mutex.
	viewers int
}

func newLog(f filter, latency time.Duration) *Log {
	first := newSlab(0, 0)
	return &Log{
		filter:  f,
		latency: latency,
		tail:    first,
		joinAt:  position{slab: first},
		wake:    make(chan struct{}),
	}
}

// Begin implements remux.Sink.
func (l *Log) Begin(tracks remux.Tracks) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tracks.Audio = tracks.Audio && !l.filter.noAudio
	tracks.Video = tracks.Video && !l.filter.noVideo
	l.tracks, l.begun = tracks, true
	l.joinAt = position{slab: l.tail, at: int(l.tail.n.Load())}
	l.wakeLocked()
}

// Write implements remux.Sink.
func (l *Log) Write(pkt *remux.Packet) {
	if l.filter.drops(pkt) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.note(pkt) {
		return
	}
	l.append(pkt)
	l.wakeSoon()
}

// note keeps what who joins must be sent, and where. It returns false for a
// configuration that says nothing new.
func (l *Log) note(pkt *remux.Packet) bool {
	var kept **remux.Packet
	switch pkt.Kind {
	case remux.Metadata:
		kept = &l.metadata
	case remux.VideoConfig:
		kept = &l.video
	case remux.AudioConfig:
		kept = &l.audio
	default:
		if pkt.Keyframe || (!l.tracks.Video && pkt.Kind == remux.AudioFrame) {
			l.joinAt = position{slab: l.tail, at: int(l.tail.n.Load())}
			l.joinDTS = pkt.DTS
		}
		return true
	}
	if *kept != nil && bytes.Equal((*kept).Payload, pkt.Payload) {
		return false
	}
	*kept = pkt
	l.configs++
	return true
}

// append renders a packet at the end of the log.
func (l *Log) append(pkt *remux.Packet) {
	size := flvtag.HeaderSize + len(pkt.Payload) + flvtag.TrailerSize
	need := chunkHeader + size + chunkTrailer
	n := int(l.tail.n.Load())
	if len(l.tail.buf)-n < need {
		next := newSlab(l.tail.base+int64(n), need)
		if l.joinAt.slab == l.tail && l.joinAt.at == n {
			l.joinAt = position{slab: next}
		}
		l.tail.next.Store(next)
		l.tail, n = next, 0
	}
	b := l.tail.buf[n : n+need]
	putChunkHeader(b, size)
	flvtag.PutHeader(b[chunkHeader:], pkt.TagType(), len(pkt.Payload), uint32(pkt.DTS))
	body := b[chunkHeader+flvtag.HeaderSize:]
	copy(body, pkt.Payload)
	binary.BigEndian.PutUint32(body[len(pkt.Payload):], uint32(flvtag.HeaderSize+len(pkt.Payload)))
	copy(b[need-chunkTrailer:], "\r\n")
	l.tail.n.Store(int64(n + need))
}

// End implements remux.Sink: viewers stay and wait for the next publication.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joinAt = position{slab: l.tail, at: int(l.tail.n.Load())}
	l.wakeLocked()
}

// Close implements remux.Sink: viewers read to the end and leave.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wakeLocked()
	if l.pending != nil {
		l.pending.Stop()
	}
}

// wakeSoon wakes the viewers at most once per latency, so that one write carries
// what came meanwhile.
func (l *Log) wakeSoon() {
	switch {
	case l.latency <= 0:
		l.wakeLocked()
	case l.due:
	case l.pending == nil:
		l.due = true
		l.pending = time.AfterFunc(l.latency, l.wakeDue)
	default:
		l.due = true
		l.pending.Reset(l.latency)
	}
}

func (l *Log) wakeDue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
}

func (l *Log) wakeLocked() {
	l.due = false
	close(l.wake)
	l.wake = make(chan struct{})
}

// state is what a viewer must know to go on.
type state struct {
	begun, closed bool
	wake          <-chan struct{} // closed when something has changed
	end           int64           // offset of the log's end
}

func (l *Log) state() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return state{
		begun:  l.begun,
		closed: l.closed,
		wake:   l.wake,
		end:    l.tail.base + l.tail.n.Load(),
	}
}

// behind returns how many bytes a position lies behind the end.
func (l *Log) behind(at position) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail.base + l.tail.n.Load() - at.offset()
}

// join returns where a viewer begins, or continues after it fell behind, and the
// tags it must be sent before that: metadata and configurations. configs is what it
// knew before, 0 if nothing; header asks for the file header too.
func (l *Log) join(dst []byte, configs uint64, header bool) (prologue []byte, at position, now uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if header {
		tracks := l.tracks
		if !tracks.Audio && !tracks.Video {
			tracks = remux.Tracks{Audio: !l.filter.noAudio, Video: !l.filter.noVideo}
		}
		dst = flvtag.AppendFileHeader(dst, tracks.Audio, tracks.Video)
	}
	if configs != l.configs {
		for _, pkt := range []*remux.Packet{l.metadata, l.video, l.audio} {
			if pkt != nil {
				dst = flvtag.AppendTag(dst, pkt.TagType(), uint32(l.joinDTS), pkt.Payload)
			}
		}
	}
	return dst, l.joinAt, l.configs
}

// putChunkHeader writes a chunk size of eight hexadecimal digits.
func putChunkHeader(dst []byte, size int) {
	const digits = "0123456789abcdef"
	for i := 7; i >= 0; i-- {
		dst[i] = digits[size&0xf]
		size >>= 4
	}
	dst[8], dst[9] = '\r', '\n'
}

// appendTags appends the bare tags of a run of whole chunks.
func appendTags(dst, chunks []byte) []byte {
	for len(chunks) >= chunkHeader {
		size := 0
		for _, d := range chunks[:8] {
			if d >= 'a' {
				d -= 'a' - 10 - '0'
			}
			size = size<<4 | int(d-'0')
		}
		chunks = chunks[chunkHeader:]
		dst = append(dst, chunks[:size]...)
		chunks = chunks[size+chunkTrailer:]
	}
	return dst
}
