package remux

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// recorder is a sink that keeps what it is told.
type recorder struct {
	begun   []Tracks
	packets []*Packet
	ends    int
	closes  int
}

func (r *recorder) Begin(t Tracks)    { r.begun = append(r.begun, t) }
func (r *recorder) Write(pkt *Packet) { r.packets = append(r.packets, pkt) }
func (r *recorder) End()              { r.ends++ }
func (r *recorder) Close()            { r.closes++ }

func (r *recorder) NewSink(StreamName) Sink { return r }

func (r *recorder) kinds() []Kind {
	var kinds []Kind
	for _, p := range r.packets {
		kinds = append(kinds, p.Kind)
	}
	return kinds
}

func (r *recorder) frames(kind Kind) []*Packet {
	var out []*Packet
	for _, p := range r.packets {
		if p.Kind == kind {
			out = append(out, p)
		}
	}
	return out
}

// Parameter sets of x264: 320x180 and 256x144, both at 25 fps.
const (
	sps320 = "674d400cda05067e7c0440000003004000000c83c50aa8"
	pps320 = "68ef3c80"
	sps256 = "6764000cacb40809d808800000030080000019078a1550"
	pps256 = "68ef3cb0"
)

func bytesOf(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func nalus(units ...[]byte) []byte {
	var out []byte
	for _, u := range units {
		out = append(out, byte(len(u)>>24), byte(len(u)>>16), byte(len(u)>>8), byte(len(u)))
		out = append(out, u...)
	}
	return out
}

func avcHeader(sps, pps []byte) []byte {
	b := []byte{0x17, 0, 0, 0, 0, 1, sps[1], sps[2], sps[3], 0xff, 0xe1, byte(len(sps) >> 8), byte(len(sps))}
	b = append(b, sps...)
	b = append(b, 1, byte(len(pps)>>8), byte(len(pps)))
	return append(b, pps...)
}

func videoFrame(key bool, units ...[]byte) []byte {
	head := []byte{0x27, 1, 0, 0, 0}
	if key {
		head[0] = 0x17
	}
	return append(head, nalus(units...)...)
}

var (
	idr       = []byte{0x65, 0x88, 0x84, 0, 1, 2, 3}
	inter     = []byte{0x41, 0x9a, 0x22, 1, 2, 3}
	aacHeader = []byte{0xaf, 0, 0x12, 0x10}
	aacFrame  = []byte{0xaf, 1, 0x21, 0x10, 0x04}
	header320 = avcHeader(bytesOf(sps320), bytesOf(pps320))
	header256 = avcHeader(bytesOf(sps256), bytesOf(pps256))
)

type session struct {
	t    *testing.T
	hub  *Hub
	sink *recorder
	pub  *Publication
	now  time.Time
}

func newSession(t *testing.T) *session {
	s := &session{t: t, sink: &recorder{}, now: time.Unix(1_700_000_000, 0)}
	s.hub = NewHub(Config{
		Grace: time.Hour,
		Sinks: []SinkFactory{s.sink},
		Now:   func() time.Time { return s.now },
	})
	t.Cleanup(s.hub.Close)
	s.publish("a")
	return s
}

func (s *session) publish(credential string) {
	s.t.Helper()
	pub, err := s.hub.Publish("live/test", Publisher{Credential: credential, Remote: netip.MustParseAddrPort("127.0.0.1:5")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.pub = pub
}

func (s *session) video(ts uint32, body []byte) { s.write(flvtag.Video, ts, body) }
func (s *session) audio(ts uint32, body []byte) { s.write(flvtag.Audio, ts, body) }

func (s *session) write(t flvtag.Type, ts uint32, body []byte) {
	s.t.Helper()
	if err := s.pub.Write(Message{Type: t, Timestamp: ts, Payload: slices.Clone(body)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) start() {
	s.video(0, header320)
	s.audio(0, aacHeader)
	s.video(0, videoFrame(true, idr))
	s.audio(0, aacFrame)
}

func (s *session) wantKinds(want ...Kind) {
	s.t.Helper()
	if got := s.sink.kinds(); !slices.Equal(got, want) {
		s.t.Errorf("the sink got kinds %v, want %v", got, want)
	}
}

func TestConfigurationsComeBeforeTheFirstFrames(t *testing.T) {
	s := newSession(t)
	s.start()
	s.wantKinds(Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame)
	if got := s.sink.begun; len(got) != 1 || got[0] != (Tracks{Video: true, Audio: true}) {
		t.Errorf("tracks: %v", got)
	}
}

func TestAnIdenticalRepeatOfAConfigurationIsIgnored(t *testing.T) {
	s := newSession(t)
	s.start()
	s.video(40, header320)
	s.audio(40, aacHeader)
	s.video(40, videoFrame(true, idr))
	s.audio(40, aacFrame)
	s.wantKinds(Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame, VideoFrame, AudioFrame)
}

func TestAChangedConfigurationTakesEffectAtTheNextKeyframe(t *testing.T) {
	s := newSession(t)
	s.start()
	s.video(40, header256)
	s.video(40, videoFrame(false, inter))
	s.video(80, videoFrame(true, idr))
	s.wantKinds(Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame, VideoFrame, Metadata, VideoConfig, VideoFrame)
}

func TestFramesBeforeTheirConfigurationAreHeld(t *testing.T) {
	s := newSession(t)
	s.video(0, videoFrame(true, idr))
	s.video(40, videoFrame(false, inter))
	s.audio(0, aacHeader)
	s.audio(0, aacFrame)
	s.video(80, header320)
	s.video(80, videoFrame(false, inter))
	if got := len(s.sink.frames(VideoFrame)); got != 3 {
		t.Errorf("%d video frames arrived, want 3", got)
	}
}

func TestWithoutAConfigurationFramesAreDroppedAndCounted(t *testing.T) {
	s := newSession(t)
	s.audio(0, aacHeader)
	for ts := uint32(0); ts <= 1200; ts += 100 {
		s.audio(ts, aacFrame)
		s.video(ts, videoFrame(ts == 0, idr))
	}
	if len(s.sink.frames(VideoFrame)) != 0 {
		t.Error("video without configuration came through")
	}
	if len(s.sink.frames(AudioFrame)) != 13 {
		t.Errorf("%d audio frames came through, want 13", len(s.sink.frames(AudioFrame)))
	}
	if n := s.pub.counters.Unconfigured; n == 0 {
		t.Error("nothing was counted")
	}
}

func TestInBandParameterSetsMakeAConfiguration(t *testing.T) {
	s := newSession(t)
	s.audio(0, aacHeader)
	s.audio(0, aacFrame)
	s.video(0, videoFrame(true, bytesOf(sps320), bytesOf(pps320), idr))
	s.video(40, videoFrame(true, bytesOf(sps320), bytesOf(pps320), idr))
	s.video(80, videoFrame(true, bytesOf(sps256), bytesOf(pps256), idr))
	if got := s.sink.frames(VideoConfig); len(got) != 2 {
		t.Fatalf("%d configurations, want 2", len(got))
	}
	if got := s.hub.Stream("live/test").Info().Video; got == nil || got.Width == 0 {
		t.Errorf("video info: %+v", got)
	}
}

func TestAnnexBIsAccepted(t *testing.T) {
	s := newSession(t)
	s.video(0, header320)
	s.audio(0, aacHeader)
	s.audio(0, aacFrame)
	body := append([]byte{0x17, 1, 0, 0, 0}, 0, 0, 0, 1)
	body = append(body, idr...)
	s.video(0, body)
	got := s.sink.frames(VideoFrame)
	if len(got) != 1 || string(got[0].Body()) != string(nalus(idr)) || !got[0].Keyframe {
		t.Errorf("got %+v", got)
	}
}

func TestFramesBeforeTheFirstKeyframeAreDropped(t *testing.T) {
	s := newSession(t)
	s.video(0, header320)
	s.audio(0, aacHeader)
	s.video(0, videoFrame(false, inter))
	s.audio(0, aacFrame)
	s.video(40, videoFrame(true, idr))
	if got := s.sink.frames(VideoFrame); len(got) != 1 || !got[0].Keyframe {
		t.Errorf("%d video frames", len(got))
	}
	if s.pub.counters.Undecodable != 1 {
		t.Errorf("%d counted, want 1", s.pub.counters.Undecodable)
	}
}

func TestNegativeCompositionTimesAreClamped(t *testing.T) {
	s := newSession(t)
	s.start()
	frame := videoFrame(false, inter)
	frame[2], frame[3], frame[4] = 0xff, 0xff, 0xd8 // -40 ms
	s.video(40, frame)
	frame[2], frame[3], frame[4] = 0, 0, 80
	s.video(80, frame)
	got := s.sink.frames(VideoFrame)
	if got[1].Composition != 0 || got[2].Composition != 80 {
		t.Errorf("composition times %d and %d, want 0 and 80", got[1].Composition, got[2].Composition)
	}
}

func TestAJumpOnBothTracksIsOneDiscontinuity(t *testing.T) {
	s := newSession(t)
	s.start()
	const hour = 3_600_000
	s.video(40, videoFrame(false, inter))
	s.audio(23, aacFrame)
	s.video(hour, videoFrame(true, idr))
	s.audio(hour+5, aacFrame)
	s.video(hour+40, videoFrame(false, inter))
	s.audio(hour+28, aacFrame)
	video, audio := s.sink.frames(VideoFrame), s.sink.frames(AudioFrame)
	if len(video) != 4 || len(audio) != 4 {
		t.Fatalf("%d video and %d audio frames, want 4 and 4", len(video), len(audio))
	}
	if !video[2].Discontinuity || video[3].Discontinuity || audio[2].Discontinuity {
		t.Error("the discontinuity is not at the first frame after the jump alone")
	}
	if d := audio[2].DTS - video[2].DTS; d != 5 {
		t.Errorf("audio is %d ms after video, want 5", d)
	}
	if gap := video[2].DTS - video[1].DTS; gap <= 0 || gap > 200 {
		t.Errorf("the timeline goes on after %d ms", gap)
	}
	if s.pub.counters.Jumped != 1 {
		t.Errorf("%d jumps counted, want 1", s.pub.counters.Jumped)
	}
}

func TestAFrameThatBeginsADiscontinuityAndIsDroppedLeavesItToTheNext(t *testing.T) {
	s := newSession(t)
	s.start()
	const hour = 3_600_000
	s.video(40, videoFrame(false, inter))
	s.audio(23, aacFrame)
	s.video(hour, []byte{0x17, 1, 0, 0, 0, 0, 0, 0, 0}) // an access unit with nothing in it
	s.audio(hour+5, aacFrame)
	s.video(hour+40, videoFrame(true, idr))
	s.audio(hour+28, aacFrame)
	video, audio := s.sink.frames(VideoFrame), s.sink.frames(AudioFrame)
	if len(video) != 3 || len(audio) != 4 || s.pub.counters.Malformed != 1 {
		t.Fatalf("%d video and %d audio frames, want 3 and 4", len(video), len(audio))
	}
	if !audio[2].Discontinuity || video[2].Discontinuity || audio[3].Discontinuity {
		t.Error("the discontinuity is not at the first frame after the jump alone")
	}
}

func TestAJumpOnOneTrackIsNoDiscontinuity(t *testing.T) {
	s := newSession(t)
	s.start()
	for i := uint32(1); i < 60; i++ {
		s.video(i*40, videoFrame(false, inter))
		s.audio(i*40+50_000_000, aacFrame)
	}
	video, audio := s.sink.frames(VideoFrame), s.sink.frames(AudioFrame)
	if len(video) != 60 || len(audio) != 60 {
		t.Fatalf("%d video and %d audio frames, want 60 and 60", len(video), len(audio))
	}
	for _, pkt := range s.sink.packets {
		if pkt.Discontinuity {
			t.Fatal("a discontinuity")
		}
	}
	if d := audio[59].DTS - video[59].DTS; d < -500 || d > 500 {
		t.Errorf("audio is %d ms from video", d)
	}
}

func TestALateTrackIsAdded(t *testing.T) {
	s := newSession(t)
	s.audio(0, aacHeader)
	for ts := uint32(0); ts < 2000; ts += 23 {
		s.audio(ts, aacFrame)
	}
	s.video(2000, header320)
	s.video(2000, videoFrame(true, idr))
	if got := s.sink.begun; len(got) != 1 || got[0] != (Tracks{Audio: true}) {
		t.Fatalf("tracks at first: %v", got)
	}
	kinds := s.sink.kinds()
	if !slices.Equal(kinds[len(kinds)-2:], []Kind{VideoConfig, VideoFrame}) {
		t.Errorf("the track was added as %v", kinds[len(kinds)-2:])
	}
}

func TestOnlyTheSameCredentialTakesOver(t *testing.T) {
	s := newSession(t)
	s.start()
	old := s.pub
	if _, err := s.hub.Publish("live/test", Publisher{Credential: "b"}); !errors.Is(err, ErrBusy) {
		t.Fatalf("another credential: %v, want ErrBusy", err)
	}
	s.publish("a")
	select {
	case <-old.Done():
	default:
		t.Fatal("the older publication goes on")
	}
	if err := old.Write(Message{Type: flvtag.Audio, Payload: aacFrame}); !errors.Is(err, ErrFenced) {
		t.Errorf("a fenced publication wrote: %v", err)
	}
	old.End(EndDisconnected)
	if s.sink.ends != 1 || old.Reason() != EndTakenOver {
		t.Errorf("%d ends, reason %s", s.sink.ends, old.Reason())
	}
	if s.pub.Generation() != 2 {
		t.Errorf("generation %d, want 2", s.pub.Generation())
	}
}

func TestWhoAttachesLateGetsTheCurrentGOP(t *testing.T) {
	s := newSession(t)
	s.start()
	s.video(40, videoFrame(false, inter))
	s.video(80, videoFrame(true, idr))
	s.audio(80, aacFrame)
	var late recorder
	if !s.hub.Stream("live/test").Attach(&late) {
		t.Fatal("not attached")
	}
	want := []Kind{Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame}
	if got := late.kinds(); !slices.Equal(got, want) || !late.packets[3].Keyframe || late.packets[3].DTS != 80 {
		t.Errorf("got kinds %v, want %v from the keyframe at 80", got, want)
	}
}

func TestWhoAttachesInTheFirstGOPGetsTheSoundBeforeIt(t *testing.T) {
	s := newSession(t)
	s.audio(0, aacHeader)
	s.audio(0, aacFrame)
	s.video(23, header320)
	s.video(23, videoFrame(true, idr))
	s.audio(23, aacFrame)
	var late recorder
	s.hub.Stream("live/test").Attach(&late)
	if got := len(late.frames(AudioFrame)); got != 2 {
		t.Errorf("%d audio frames, want 2", got)
	}
}

func TestTheGraceEndsTheStream(t *testing.T) {
	sink := &recorder{}
	hub := NewHub(Config{Grace: time.Millisecond, Sinks: []SinkFactory{sink}})
	defer hub.Close()
	pub, err := hub.Publish("live/test", Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	stream := hub.Stream("live/test")
	pub.End(EndUnpublished)
	<-stream.Closed()
	if hub.Stream("live/test") != nil || sink.closes != 1 {
		t.Error("the stream is still there")
	}
}

// FuzzPublication: whatever a publisher sends, the sinks' contract holds.
func FuzzPublication(f *testing.F) {
	var seed []byte
	add := func(t byte, ts uint16, body []byte) {
		seed = append(seed, t, byte(ts>>8), byte(ts), byte(len(body)))
		seed = append(seed, body...)
	}
	add(9, 0, header320)
	add(8, 0, aacHeader)
	add(9, 0, videoFrame(true, idr))
	add(8, 10, aacFrame)
	add(9, 40, videoFrame(false, inter))
	f.Add(seed)
	f.Fuzz(func(t *testing.T, in []byte) {
		sink := &recorder{}
		hub := NewHub(Config{Grace: time.Hour, Sinks: []SinkFactory{sink}})
		pub, err := hub.Publish("live/test", Publisher{})
		if err != nil {
			t.Fatal(err)
		}
		for len(in) >= 4 {
			n := min(int(in[3]), len(in)-4)
			ts := (uint32(in[1])<<8 | uint32(in[2])) * 4_000
			if err := pub.Write(Message{Type: flvtag.Type(in[0]), Timestamp: ts, Payload: in[4 : 4+n : 4+n]}); err != nil {
				t.Fatal(err)
			}
			checkWaiting(t, pub)
			in = in[4+n:]
		}
		pub.End(EndDisconnected)
		hub.Close()
		checkSinkContract(t, sink)
	})
}

func checkSinkContract(t *testing.T, sink *recorder) {
	t.Helper()
	last := [numTracks]int64{-1 << 62, -1 << 62}
	for _, pkt := range sink.packets {
		if pkt.Data > len(pkt.Payload) || pkt.End > len(pkt.Payload) {
			t.Fatalf("packet %+v has its data beyond its end", pkt)
		}
		if pkt.Kind != VideoFrame && pkt.Kind != AudioFrame {
			continue // what goes along with a frame has its time
		}
		track, _ := pkt.Track()
		if pkt.DTS <= last[track] || pkt.Composition < 0 {
			t.Fatalf("packet %+v after DTS %d", pkt, last[track])
		}
		last[track] = pkt.DTS
	}
	if len(sink.begun) != sink.ends || sink.closes != 1 {
		t.Fatalf("%d begins, %d ends, %d closes", len(sink.begun), sink.ends, sink.closes)
	}
}
