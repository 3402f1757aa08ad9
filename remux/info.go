package remux

import (
	"time"
)

// Info is what an operator sees of a stream.
type Info struct {
	Name        StreamName       `json:"name"`
	State       string           `json:"state"` // "live", or "idle" during the grace period
	Created     time.Time        `json:"created"`
	Viewers     int              `json:"viewers"`
	Generation  uint64           `json:"generation"`
	Publication *PublicationInfo `json:"publication,omitempty"`
	Video       *VideoInfo       `json:"video,omitempty"`
	Audio       *AudioInfo       `json:"audio,omitempty"`
	// Further are the tracks beside these, which FLV and RTMP carry (multitrack).
	Further []FurtherTrack `json:"further_tracks,omitempty"`
}

// PublicationInfo describes the newest publication.
type PublicationInfo struct {
	Started time.Time `json:"started"`
	// UptimeSec is how long it has lasted, up to its end.
	UptimeSec float64   `json:"uptime_seconds"`
	Remote    string    `json:"remote"`
	Protocol  string    `json:"protocol"`
	Encoder   string    `json:"encoder,omitempty"`
	Bitrate   uint64    `json:"bitrate"` // bits per second over the last seconds
	Gaps      int       `json:"gaps"`    // silences that viewers may have noticed
	Counters  Counters  `json:"counters"`
	EndReason EndReason `json:"end_reason,omitempty"`
	// Findings are the diagnosis: what was found about the publication, active ones first.
	Findings []Finding `json:"findings,omitempty"`
	// Facts are what it has measured, also where nothing was found.
	Facts Facts `json:"facts"`
}

// VideoInfo describes the video track.
type VideoInfo struct {
	Codec     string  `json:"codec"`
	RFC6381   string  `json:"codec_string,omitempty"` // as in the HLS CODECS attribute
	Width     int     `json:"width,omitempty"`
	Height    int     `json:"height,omitempty"`
	FrameRate float64 `json:"frame_rate,omitempty"` // measured, frames per second
	GOP       float64 `json:"gop_seconds,omitempty"`
}

// AudioInfo describes the audio track.
type AudioInfo struct {
	Codec      string `json:"codec"`
	RFC6381    string `json:"codec_string,omitempty"`
	SampleRate int    `json:"sample_rate,omitempty"` // Hz
	Channels   int    `json:"channels,omitempty"`
}

// Info returns the state of the stream.
func (s *Stream) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := Info{
		Name:       s.name,
		State:      "idle",
		Created:    s.created,
		Viewers:    s.Viewers(),
		Generation: s.generation,
	}
	if s.publication != nil {
		info.State = "live"
	}
	if p := s.last; p != nil {
		info.Publication = p.info(s.hub.now())
		info.Video, info.Audio, info.Further = p.video.info(), p.audio.info(), p.further
	}
	return info
}

func (p *Publication) info(now time.Time) *PublicationInfo {
	if p.ended {
		now = p.endedAt
	}
	return &PublicationInfo{
		Started:   p.started,
		Gaps:      p.diagnosis.arrival.gaps,
		UptimeSec: now.Sub(p.started).Seconds(),
		Remote:    p.publisher.Remote.String(),
		Protocol:  p.publisher.Protocol,
		Encoder:   p.encoder(),
		Bitrate:   p.rate.bitsPerSecond(now),
		Counters:  p.counters,
		EndReason: p.reason,
		Findings:  p.diagnosis.findings(),
		Facts:     p.diagnosis.facts(),
	}
}

func (v *videoTrack) info() *VideoInfo {
	if !v.known() {
		return nil
	}
	info := &VideoInfo{Codec: v.codec.String(), FrameRate: v.frames.rate(), GOP: v.frames.gop()}
	info.RFC6381, info.Width, info.Height = v.facts.CodecString, v.facts.Width, v.facts.Height
	return info
}

func (a *audioTrack) info() *AudioInfo {
	if !a.known() {
		return nil
	}
	info := &AudioInfo{Codec: a.codec.String()}
	if a.aac.SampleRate > 0 {
		info.RFC6381, info.SampleRate, info.Channels = a.aac.CodecString(), a.aac.SampleRate, a.aac.Channels
	}
	return info
}

// frameMeter measures the frame rate and the length of GOPs from timestamps.
type frameMeter struct {
	first, last int64 // DTS of the running span, ms
	frames      int   // frames in the running span
	perSecond   float64
	keyframe    int64
	seen        bool
	gopLength   int64
}

// frameSpan is the time, in ms, that a frame rate is measured over.
const frameSpan = 2_000

func (f *frameMeter) add(dts int64) {
	if f.frames == 0 || dts < f.first {
		f.first, f.frames = dts, 0
	}
	if span := dts - f.first; f.frames > 1 && span >= frameSpan {
		f.perSecond = float64(f.frames) * 1000 / float64(span)
		f.first, f.frames = dts, 0
	}
	f.frames++
	f.last = dts
}

func (f *frameMeter) addKeyframe(dts int64) {
	if f.seen {
		f.gopLength = dts - f.keyframe
	}
	f.keyframe, f.seen = dts, true
}

func (f *frameMeter) rate() float64 {
	if f.perSecond == 0 && f.frames > 1 && f.last > f.first {
		return float64(f.frames-1) * 1000 / float64(f.last-f.first)
	}
	return f.perSecond
}

func (f *frameMeter) gop() float64 { return float64(f.gopLength) / 1000 }
