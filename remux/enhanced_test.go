package remux

import (
	"bytes"
	"slices"
	"testing"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// Parameter sets of x265: 192x108 and 320x180.
const (
	vps192     = "40010c01ffff01600000030090000003000003001e959009"
	sps192     = "42010101600000030090000003000003001ea0182071f796564924caf0168080000003008000000c84"
	ppsX       = "4401c172b46240"
	vps320     = "40010c02ffff21600000030090000003000003009900009598acc048"
	sps320HEVC = "4201022160000003009000000300000300990000a00a080b9f7965662b349265780b4040000003004000000f02"
)

var (
	irap     = []byte{0x26, 0x01, 0xaf, 0x12, 0x80} // IDR_W_RADL
	cra      = []byte{0x2a, 0x01, 0xaf, 0x12, 0x80}
	trailing = []byte{0x02, 0x01, 0xd0, 0x09, 0x7e}
	hevc192  = hvcC(vps192, sps192, ppsX)
	hevc320  = hvcC(vps320, sps320HEVC, ppsX)
)

// hvcC writes a record by hand (ISO/IEC 14496-15, 8.3.3.1).
func hvcC(sets ...string) []byte {
	record := append(make([]byte, 21), 3, 3)
	record[0] = 1
	for i, s := range sets {
		set := bytesOf(s)
		record = append(record, 0xA0+byte(i), 0, 1, byte(len(set)>>8), byte(len(set)))
		record = append(record, set...)
	}
	return record
}

// Bodies of Enhanced RTMP.
func exVideo(kind, packet byte, fourCC string, data ...byte) []byte {
	return append(append([]byte{0x80 | kind<<4 | packet}, fourCC...), data...)
}

func hevcFrame(key bool, units ...[]byte) []byte {
	kind := byte(2)
	if key {
		kind = 1
	}
	return exVideo(kind, 3, "hvc1", nalus(units...)...)
}

func (s *session) startHEVC() { s.startHEVCAt(0) }

func (s *session) startHEVCAt(at uint32) {
	s.video(at, exVideo(1, 0, "hvc1", hevc192...))
	s.audio(at, aacHeader)
	s.video(at, hevcFrame(true, irap))
	s.audio(at, aacFrame)
}

func TestHEVCIsCarriedWithItsFacts(t *testing.T) {
	for name, legacy := range map[string]bool{"by FourCC": false, "by the number 12": true} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			config, frame := exVideo(1, 0, "hvc1", hevc192...), append(exVideo(1, 1, "hvc1", 0, 0, 40), nalus(irap)...)
			if legacy {
				config, frame = append([]byte{0x1c, 0, 0, 0, 0}, hevc192...), append([]byte{0x1c, 1, 0, 0, 40}, nalus(irap)...)
			}
			s.video(0, config)
			s.audio(0, aacHeader)
			s.video(0, frame)
			s.audio(0, aacFrame)
			configs, frames := s.sink.frames(VideoConfig), s.sink.frames(VideoFrame)
			if len(configs) != 1 || configs[0].Codec != flvtag.HEVC || !bytes.Equal(configs[0].Body(), hevc192) {
				t.Fatalf("configurations: %+v", configs)
			}
			if len(frames) != 1 || !frames[0].Keyframe || frames[0].Composition != 40 ||
				!bytes.Equal(frames[0].Payload, frame) || !bytes.Equal(frames[0].Body(), nalus(irap)) {
				t.Fatalf("frames: %+v", frames)
			}
			v := s.hub.Stream("live/test").Info().Video
			if v.Codec != "HEVC" || v.RFC6381 != "hvc1.1.6.L30.90" || v.Width != 192 || v.Height != 108 {
				t.Errorf("info: %+v", v)
			}
		})
	}
}

func TestHEVCKeyframesAreWhatTheNALUsSay(t *testing.T) {
	s := newSession(t)
	s.startHEVC()
	s.video(40, hevcFrame(true, trailing)) // the flag lies
	s.video(80, hevcFrame(false, cra))     // and here
	s.video(120, hevcFrame(false, trailing))
	var got []bool
	for _, pkt := range s.sink.frames(VideoFrame) {
		got = append(got, pkt.Keyframe)
	}
	if !slices.Equal(got, []bool{true, false, true, false}) {
		t.Errorf("keyframes: %v", got)
	}
}

func TestAChangeOfHEVCTakesEffectAtTheNextKeyframe(t *testing.T) {
	s := newSession(t)
	s.startHEVC()
	s.video(40, exVideo(1, 0, "hvc1", hevc320...))
	s.video(40, hevcFrame(false, trailing))
	s.video(80, hevcFrame(true, irap))
	want := []Kind{Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame, VideoFrame, Metadata, VideoConfig, VideoFrame}
	if got := s.sink.kinds(); !slices.Equal(got, want) {
		t.Errorf("packets: %v, want %v", got, want)
	}
	if v := s.hub.Stream("live/test").Info().Video; v.Width != 320 {
		t.Errorf("info: %+v", v)
	}
}

func TestAChangeFromH264ToHEVCTakesEffectAtTheNextKeyframe(t *testing.T) {
	s := newSession(t)
	s.start()
	s.video(40, exVideo(1, 0, "hvc1", hevc192...))
	s.video(80, hevcFrame(true, irap))
	configs, frames := s.sink.frames(VideoConfig), s.sink.frames(VideoFrame)
	if len(configs) != 2 || configs[1].Codec != flvtag.HEVC || len(frames) != 2 || frames[1].Codec != flvtag.HEVC {
		t.Errorf("configurations %+v, frames %+v", configs, frames)
	}
}

func TestHEVCInAnnexBWithItsParameterSetsInTheFrame(t *testing.T) {
	s := newSession(t)
	var annexB []byte
	for _, n := range [][]byte{bytesOf(vps192), bytesOf(sps192), bytesOf(ppsX), irap} {
		annexB = append(append(annexB, 0, 0, 0, 1), n...)
	}
	s.video(0, exVideo(1, 3, "hvc1", annexB...))
	s.audio(0, aacHeader)
	s.audio(0, aacFrame)
	configs, frames := s.sink.frames(VideoConfig), s.sink.frames(VideoFrame)
	if len(configs) != 1 || !bytes.HasPrefix(configs[0].Payload, []byte("\x90hvc1")) {
		t.Fatalf("configurations: %+v", configs)
	}
	if want := nalus(bytesOf(vps192), bytesOf(sps192), bytesOf(ppsX), irap); len(frames) != 1 || !bytes.Equal(frames[0].Body(), want) {
		t.Errorf("frames: %+v", frames)
	}
	if v := s.hub.Stream("live/test").Info().Video; v.Width != 192 {
		t.Errorf("info: %+v", v)
	}
}

func TestABrokenHEVCConfigurationIsCountedAndTheOneBeforeStays(t *testing.T) {
	s := newSession(t)
	s.startHEVC()
	s.video(40, exVideo(1, 0, "hvc1", hevc320[:40]...))
	s.video(80, hevcFrame(true, irap))
	info := s.hub.Stream("live/test").Info()
	if info.Publication.Counters.Malformed != 1 || info.Video.Width != 192 || len(s.sink.frames(VideoFrame)) != 2 {
		t.Errorf("%+v, %+v", info.Publication.Counters, info.Video)
	}
}

// track is a track in a body of many.
func track(id byte, data []byte) []byte {
	return append([]byte{id, byte(len(data) >> 16), byte(len(data) >> 8), byte(len(data))}, data...)
}

func TestADefaultTrackAmongManyIsFoundAndTheBodyStaysWhole(t *testing.T) {
	s := newSession(t)
	// 6 is multitrack; then ManyTracks and the packet type.
	config := append([]byte("\x96\x10hvc1"), slices.Concat(track(1, hevc320), track(0, hevc192))...)
	frame := append([]byte("\x96\x13hvc1"), slices.Concat(track(1, nalus(irap)), track(0, nalus(trailing, irap)))...)
	s.video(0, config)
	s.audio(0, aacHeader)
	s.video(0, frame)
	s.audio(0, aacFrame)
	configs, frames := s.sink.frames(VideoConfig), s.sink.frames(VideoFrame)
	if len(configs) != 1 || !bytes.Equal(configs[0].Payload, config) || !bytes.Equal(configs[0].Body(), hevc192) {
		t.Errorf("configurations: %+v", configs)
	}
	if len(frames) != 1 || !bytes.Equal(frames[0].Payload, frame) || !bytes.Equal(frames[0].Body(), nalus(trailing, irap)) ||
		!frames[0].Keyframe {
		t.Errorf("frames: %+v", frames)
	}
}

func TestFurtherTracksAndHDRAreRelayedAndSentToThoseWhoJoin(t *testing.T) {
	s := newSession(t)
	further := append([]byte("\x96\x00hvc1\x01"), hevc320...) // OneTrack with id 1
	hdr := exVideo(1, 4, "hvc1", 2, 0, 9)
	frame := append([]byte("\xa6\x03hvc1\x01"), nalus(trailing)...)
	s.video(5_000, further)
	s.startHEVCAt(5_000)
	s.video(5_000, hdr)
	s.video(5_040, hevcFrame(false, trailing))
	s.video(5_040, frame)
	s.video(90_000, frame) // its clock has gone astray
	for _, want := range []struct {
		kind    Kind
		payload [][]byte
	}{{VideoState, [][]byte{further, hdr}}, {FurtherVideo, [][]byte{frame, frame}}} {
		got := s.sink.frames(want.kind)
		if len(got) != 2 || !bytes.Equal(got[0].Payload, want.payload[0]) || !bytes.Equal(got[1].Payload, want.payload[1]) ||
			got[0].TagType() != flvtag.Video {
			t.Fatalf("packets of kind %d: %+v", want.kind, got)
		}
		for _, pkt := range got {
			if pkt.DTS < 5_000 || pkt.DTS > 5_040 {
				t.Errorf("kind %d is of %d ms", want.kind, pkt.DTS)
			}
		}
	}
	if n := len(s.sink.frames(VideoFrame)); n != 2 {
		t.Errorf("%d frames of the default track", n)
	}
	newer := exVideo(1, 4, "hvc1", 2, 0, 10)
	s.video(5_080, newer)
	late := &recorder{}
	s.hub.Stream("live/test").Attach(late)
	states := late.frames(VideoState)
	if len(states) != 2 || !bytes.Equal(states[0].Payload, further) || !bytes.Equal(states[1].Payload, newer) {
		t.Errorf("who joins is sent %+v", states)
	}
	if n := len(late.frames(FurtherVideo)); n != 2 {
		t.Errorf("who joins is sent %d frames of the further track", n)
	}
	if got := s.hub.Stream("live/test").Info().Further; len(got) != 1 || got[0] != (FurtherTrack{"video", 1, "HEVC"}) {
		t.Errorf("info: %+v", got)
	}
}

func TestStatesEndWithTheirPublication(t *testing.T) {
	s := newSession(t)
	s.startHEVC()
	s.video(0, exVideo(1, 4, "hvc1", 2, 0, 9))
	s.pub.End(EndUnpublished)
	s.publish("a")
	s.startHEVC()
	late := &recorder{}
	s.hub.Stream("live/test").Attach(late)
	if states := late.frames(VideoState); len(states) != 0 {
		t.Errorf("who joins is sent %+v", states)
	}
}

func TestTheOrderOfChannelsIsSentToThoseWhoJoin(t *testing.T) {
	s := newSession(t)
	opus := func(packet byte, data ...byte) []byte {
		return append([]byte{0x90 | packet, 'O', 'p', 'u', 's'}, data...)
	}
	s.video(0, exVideo(1, 0, "hvc1", hevc192...))
	s.audio(0, opus(0, []byte("OpusHead")...))
	s.video(0, hevcFrame(true, irap))
	s.audio(0, opus(4, 1, 6))
	s.audio(0, opus(1, 0xfc))
	late := &recorder{}
	s.hub.Stream("live/test").Attach(late)
	states, frames := late.frames(AudioState), late.frames(AudioFrame)
	if len(states) != 1 || states[0].TagType() != flvtag.Audio || len(frames) != 1 || frames[0].Codec != flvtag.Opus {
		t.Errorf("who joins is sent %+v and %+v", states, frames)
	}
}

func TestStatesAreBounded(t *testing.T) {
	var s States
	if s.Keep(&Packet{Kind: VideoState, Payload: make([]byte, maxStateSize+1)}) {
		t.Error("a huge state is kept")
	}
	for slot := range uint16(maxStates) {
		if !s.Keep(&Packet{Kind: VideoState, Slot: slot, Payload: []byte{1}}) {
			t.Errorf("state %d is not kept", slot)
		}
	}
	if s.Keep(&Packet{Kind: AudioState, Payload: []byte{1}}) || len(s.All()) != maxStates {
		t.Errorf("%d states are kept", len(s.All()))
	}
	if s.Keep(&Packet{Kind: VideoState, Slot: 3, Payload: []byte{1}}) || !s.Keep(&Packet{Kind: VideoState, Slot: 3, Payload: []byte{2}}) {
		t.Error("a repeat is a change, or a change is none")
	}
}

// FuzzMessages feeds any media messages. Whatever they are, nothing panics, each track's DTS
// increases, and coded data lie within their payload.
func FuzzMessages(f *testing.F) {
	f.Add(exVideo(1, 0, "hvc1", hevc192...), hevcFrame(true, irap), aacFrame)
	f.Add([]byte("\x96\x10hvc1\x00\x00\x00\x01\x01"), append([]byte("\xa6\x03hvc1\x01"), nalus(trailing)...), []byte{0x94, 'O', 'p', 'u', 's', 1})
	f.Add(header320, videoFrame(true, idr), []byte("\x95\x01Opus\x01\xfc"))
	f.Fuzz(func(t *testing.T, config, video, audio []byte) {
		sink := &recorder{}
		hub := NewHub(Config{Sinks: []SinkFactory{sink}})
		defer hub.Close()
		pub, err := hub.Publish("live/test", Publisher{})
		if err != nil {
			t.Fatal(err)
		}
		for at := range uint32(6) {
			for _, m := range []Message{{flvtag.Video, 20 * at, slices.Clone(config)}, {flvtag.Video, 40 * at, slices.Clone(video)},
				{flvtag.Audio, 40 * at, slices.Clone(audio)}} {
				if err := pub.Write(m); err != nil {
					t.Fatal(err)
				}
			}
		}
		pub.End(EndUnpublished)
		last := map[Kind]int64{VideoFrame: -1, AudioFrame: -1}
		for _, pkt := range sink.packets {
			if len(pkt.Body()) > len(pkt.Payload) {
				t.Fatal("the coded data are longer than the payload")
			}
			if before, isFrame := last[pkt.Kind]; isFrame && pkt.DTS <= before {
				t.Fatalf("DTS %d after %d", pkt.DTS, before)
			} else if isFrame {
				last[pkt.Kind] = pkt.DTS
			}
		}
	})
}
