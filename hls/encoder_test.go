package hls

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

// Parameter sets of x264: 320x180 and 256x144, both at 25 fps by their VUI.
var (
	sets320 = [2]string{"674d400cda05067e7c0440000003004000000c83c50aa8", "68ef3c80"}
	sets256 = [2]string{"6764000cacb40809d808800000030080000019078a1550", "68ef3cb0"}
)

// AudioSpecificConfigs of AAC-LC stereo.
var (
	aac44100 = []byte{0x12, 0x10}
	aac48000 = []byte{0x11, 0x90}
)

// encoder makes packets as remux hands them to a sink. Each frame's bytes are
// different from all others'.
type encoder struct {
	// frame is the time between video frames in ms, 0 for none.
	frame float64
	// key tells which video frames are IDRs.
	key func(frame int) bool
	// size is what a video frame has, in bytes; an IDR has four times as many.
	size int
	sets [2]string
	// asc is the audio configuration, nil for none.
	asc []byte
	// jitter is added to a frame's DTS, in ms; the rounding to ms comes on top.
	jitter func(frame int) int64
	// skip leaves frames out: the encoder, or the network, lost them.
	skip func(dts int64, video bool) bool
	// behind is how much later than video of the same time audio comes, in ms.
	behind int64

	counter uint32 // of frames made, which makes each unique
}

// every makes every n-th frame an IDR.
func every(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }

// at makes an encoder of 25 fps, an IDR every n frames, and AAC of 48 kHz.
func at25(n int) *encoder {
	return &encoder{frame: 40, key: every(n), size: 400, sets: sets320, asc: aac48000}
}

func (e *encoder) tracks() remux.Tracks {
	return remux.Tracks{Video: e.frame > 0, Audio: e.asc != nil}
}

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func videoConfigPacket(sets [2]string, dts int64) *remux.Packet {
	c, err := h264.ConfigFromParameterSets([][]byte{mustHex(sets[0])}, [][]byte{mustHex(sets[1])})
	if err != nil {
		panic(err)
	}
	return &remux.Packet{Kind: remux.VideoConfig, Codec: flvtag.H264, DTS: dts, Payload: c.Append(nil)}
}

func audioConfigPacket(asc []byte, dts int64) *remux.Packet {
	return &remux.Packet{Kind: remux.AudioConfig, Codec: flvtag.AAC, DTS: dts, Payload: asc}
}

// configs returns the configurations that come first.
func (e *encoder) configs(dts int64) []*remux.Packet {
	var out []*remux.Packet
	if e.frame > 0 {
		out = append(out, videoConfigPacket(e.sets, dts))
	}
	if e.asc != nil {
		out = append(out, audioConfigPacket(e.asc, dts))
	}
	return out
}

// fill returns n bytes that no other call returns and that hold no start code.
func (e *encoder) fill(head []byte, n int) []byte {
	e.counter++
	b := slices.Clone(head)
	for v := e.counter; len(b) < len(head)+5; v /= 251 {
		b = append(b, byte(v%251)+2)
	}
	for i := 0; len(b) < n; i++ {
		b = append(b, byte(i*7+int(e.counter))|1)
	}
	return b
}

func (e *encoder) video(i int, dts int64, key bool) *remux.Packet {
	head, size := []byte{0x41, 0x9a, 0x22}, e.size
	if key {
		head, size = []byte{0x65, 0x88, 0x84}, e.size*4
	}
	nalu := e.fill(head, size)
	payload := binary.BigEndian.AppendUint32(nil, uint32(len(nalu)))
	return &remux.Packet{
		Kind: remux.VideoFrame, Codec: flvtag.H264, Keyframe: key, DTS: dts,
		Composition: int32(i % 3 * 40), Payload: append(payload, nalu...),
	}
}

func (e *encoder) audio(dts int64) *remux.Packet {
	return &remux.Packet{Kind: remux.AudioFrame, Codec: flvtag.AAC, DTS: dts, Payload: e.fill([]byte{0x21, 0x10}, 180)}
}

// arrival is a packet and when it comes, in ms.
type arrival struct {
	pkt *remux.Packet
	at  int64
}

// frames makes the frames of [from, to) in ms, in the order in which they come.
func (e *encoder) frames(from, to int64) []arrival {
	var all []arrival
	skip := e.skip
	if skip == nil {
		skip = func(int64, bool) bool { return false }
	}
	last := from - 1
	for i := 0; e.frame > 0; i++ {
		due := from + int64(float64(i)*e.frame)
		if due >= to {
			break
		}
		dts := due
		if e.jitter != nil {
			dts = max(last+1, due+e.jitter(i))
		}
		last = dts
		if !skip(dts, true) {
			all = append(all, arrival{e.video(i, dts, e.key(i)), dts})
		}
	}
	if e.asc != nil {
		config, err := aac.ParseConfig(e.asc)
		if err != nil {
			panic(err)
		}
		for i := int64(0); ; i++ {
			dts := from + i*int64(config.SamplesPerFrame)*1000/int64(config.SampleRate)
			if dts >= to {
				break
			}
			if !skip(dts, false) {
				all = append(all, arrival{e.audio(dts), dts + e.behind})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return int(a.at - b.at) })
	return all
}

func TestTheEncoderOfTheTestsNeverRepeatsAFrame(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range at25(25).frames(0, 20_000) {
		if seen[string(a.pkt.Payload)] {
			t.Fatal("a frame was repeated")
		}
		seen[string(a.pkt.Payload)] = true
	}
	if len(seen) < 1400 {
		t.Errorf("only %d frames", len(seen))
	}
}
