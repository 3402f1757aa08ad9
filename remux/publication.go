package remux

import (
	"errors"
	"math"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// Errors that Publication.Write returns.
var (
	// ErrFenced: another publisher has taken the stream over, or it was ended.
	ErrFenced = errors.New("the publication has ended")
)

const (
	// probeTime is how long, in ms of media, the set of tracks may stay open.
	probeTime = 1_000
	// maxProbePackets and maxProbeBytes bound what is kept meanwhile.
	maxProbePackets = 1_024
	maxProbeBytes   = 8 << 20
	// maxHeld, maxHeldBytes and maxHeldSpan (ms) bound what waits while it is not known
	// whether one track jumped or all of them.
	maxHeld      = 128
	maxHeldBytes = 8 << 20
	maxHeldSpan  = 500
)

// Publication is one publisher's turn on a stream. Its Write may be called by one
// goroutine at a time; everything else by any.
type Publication struct {
	stream     *Stream
	generation uint64
	publisher  Publisher
	started    time.Time
	done       chan struct{}

	// All below is guarded by stream.mu.

	ended   bool
	endedAt time.Time
	reason  EndReason
	// takenBack: it was to end after HandOver.
	takenBack bool
	video     videoTrack
	audio     audioTrack
	// held are messages that wait for the verdict on a jump, in arrival order.
	held      []Message
	heldBytes int
	// probe are packets that wait for the set of tracks to be decided.
	probe []*Packet
	// early are the states that came before the first of these.
	early      States
	probeBytes int
	jumped     bool // the clock has, and no frame that was passed on says so
	probeFrom  time.Time
	decided    bool
	metadata   []byte            // the onMetaData body in force
	properties []flvtag.Property // what the encoder says of itself
	further    []FurtherTrack
	counters   Counters
	rate       rateMeter
	diagnosis  diagnosis
}

// Message is one RTMP media message.
type Message struct {
	Type flvtag.Type
	// Timestamp is in milliseconds modulo 2^32.
	Timestamp uint32
	// Payload is handed over: nobody may change it afterwards.
	Payload []byte
}

// Generation counts the publications of a stream from 1.
func (p *Publication) Generation() uint64 { return p.generation }

// Publisher returns who publishes.
func (p *Publication) Publisher() Publisher { return p.publisher }

// Encoder is the name that the encoder gave itself when it connected; untrusted text, but printable and
// short.
func (p *Publication) Encoder() string { return cutName(p.publisher.Encoder) }

// Started is when the publication began.
func (p *Publication) Started() time.Time { return p.started }

// Viewers returns the number of viewers that read the stream as it comes.
func (p *Publication) Viewers() int { return p.stream.Viewers() }

// Done is closed when the publication has ended, for whatever reason.
func (p *Publication) Done() <-chan struct{} { return p.done }

// Reason says why the publication ended; it is meaningful once Done is closed.
func (p *Publication) Reason() EndReason {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.reason
}

// Write takes one media message. What cannot be used is counted, never an error:
// an encoder with odd habits keeps its stream. The only error is ErrFenced.
func (p *Publication) Write(m Message) error {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended {
		return ErrFenced
	}
	now := s.hub.now()
	p.counters.Messages++
	p.counters.Bytes += uint64(len(m.Payload))
	p.rate.add(now, len(m.Payload))
	if len(p.held) > 0 || p.mustHold(m) {
		p.hold(m)
	} else {
		p.write(m)
	}
	p.decide(now, false)
	p.diagnose(now)
	return nil
}

// End ends the publication, once; further calls do nothing. What it still holds is
// written out first.
func (p *Publication) End(reason EndReason) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(p, reason)
}

// finish writes out what still waits; the caller ends the sinks.
func (p *Publication) finish() {
	p.release()
	p.decide(time.Time{}, true)
}

func (p *Publication) write(m Message) {
	switch m.Type {
	case flvtag.Video:
		p.writeVideo(m)
	case flvtag.Audio:
		p.writeAudio(m)
	}
}

// emit passes a packet on to the sinks, or keeps it until the tracks are decided.
func (p *Publication) emit(pkt *Packet) {
	if p.jumped && (pkt.Kind == VideoFrame || pkt.Kind == AudioFrame) {
		pkt.Discontinuity, p.jumped = true, false
	}
	p.diagnosis.packet(pkt)
	if p.decided {
		if pkt.Kind == VideoConfig || pkt.Kind == AudioConfig {
			p.sendMetadata(pkt.DTS)
		}
		p.stream.write(pkt)
		return
	}
	if len(p.probe) == 0 {
		// Nothing begins with states alone, however many come.
		if pkt.Kind == VideoState || pkt.Kind == AudioState {
			if !p.early.Keep(pkt) {
				p.counters.Ignored++
			}
			return
		}
		p.probeFrom = p.stream.hub.now()
	}
	p.probe = append(p.probe, pkt)
	p.probeBytes += len(pkt.Payload)
}

// dropped takes note of frames that are not passed on: a jump of the clock that one of
// them should have told of is told by the next frame that is.
func (p *Publication) dropped(frames ...*Packet) {
	for _, pkt := range frames {
		p.jumped = p.jumped || pkt.Discontinuity
	}
}

// decide settles which tracks the publication has: when both are known, or when a
// second has passed in media or in real time. A track that comes later is added.
func (p *Publication) decide(now time.Time, final bool) {
	if p.decided || len(p.probe) == 0 {
		return
	}
	both := p.video.known() && p.audio.known()
	if !both && !final && !p.probeIsOver(now) {
		return
	}
	p.video.giveUp(p)
	p.audio.giveUp(p)
	p.decided = true
	p.stream.begin(Tracks{Video: p.video.known(), Audio: p.audio.known()})
	probe := append(p.early.All(), p.probe...)
	p.probe = nil
	p.early.Reset()
	first := firstDTS(probe)
	configs := p.firstConfigs(probe, first)
	p.sendMetadata(first)
	for _, pkt := range configs {
		p.stream.write(pkt)
	}
	for _, pkt := range probe {
		if pkt != nil {
			if pkt.Kind == VideoState || pkt.Kind == AudioState {
				pkt.DTS = max(pkt.DTS, first) // it may have come before there was a time
			}
			p.stream.write(pkt)
		}
	}
}

// firstConfigs takes the first configuration of each track out of the packets that
// waited, so that a sink knows both before the first frame. One whose first frame
// has not come yet is put in force now.
func (p *Publication) firstConfigs(probe []*Packet, first int64) []*Packet {
	var configs []*Packet
	take := func(kind Kind) bool {
		for i, pkt := range probe {
			if pkt != nil && pkt.Kind == kind {
				pkt.DTS = first
				configs = append(configs, pkt)
				probe[i] = nil
				return true
			}
		}
		return false
	}
	if !take(VideoConfig) && p.video.next != nil {
		configs = append(configs, p.video.apply(first))
	}
	if !take(AudioConfig) && p.audio.next != nil {
		configs = append(configs, p.audio.apply(first))
	}
	return configs
}

func (p *Publication) probeIsOver(now time.Time) bool {
	if len(p.probe) >= maxProbePackets || p.probeBytes >= maxProbeBytes || now.Sub(p.probeFrom) >= probeTime*time.Millisecond {
		return true
	}
	return p.stream.timeline.End()-firstDTS(p.probe) >= probeTime
}

// firstDTS returns the lowest DTS of the frames among packets.
func firstDTS(packets []*Packet) int64 {
	first := int64(math.MaxInt64)
	for _, pkt := range packets {
		if pkt.Kind == VideoFrame || pkt.Kind == AudioFrame {
			first = min(first, pkt.DTS)
		}
	}
	return first
}

// place puts a frame on the timeline and counts repairs.
func (p *Publication) place(track Track, timestamp uint32) (int64, Repair) {
	dts, repair := p.stream.timeline.Place(track, timestamp)
	p.diagnosis.frame(track, dts, repair)
	switch repair {
	case Clamped:
		p.counters.Clamped++
	case Realigned:
		p.counters.Realigned++
	case Jumped:
		p.counters.Jumped++
	}
	return dts, repair
}
