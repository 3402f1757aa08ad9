package mpegts_test

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/mpegts"
)

// The samples were made by ffmpeg 5.1 (x264 0.164, its own AAC encoder):
//
//	h264-aac.flv  192x108, 25 fps, 2 B-frames, an IDR every second; 44.1 kHz stereo; 3 s
//	aac.flv       pink noise, 48 kHz stereo, 64 kbit/s; 10 s
const (
	sampleAV    = "testdata/h264-aac.flv"
	sampleAudio = "testdata/aac.flv"
)

// sample is an FLV file taken apart.
type sample struct {
	video  h264.Config
	audio  aac.Config
	frames []frame
}

// frame is an access unit or a bare AAC frame, with times of 90 kHz.
type frame struct {
	isVideo  bool
	pts, dts int64
	data     []byte
}

// readSample reads the tags of an FLV file (annex E.4.1), as ffmpeg writes them.
func readSample(tb testing.TB, name string) sample {
	tb.Helper()
	flv, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var s sample
	samples := int64(0)
	for b := flv[13:]; len(b) >= 15; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		ms := int64(b[7])<<24 | int64(b[4])<<16 | int64(b[5])<<8 | int64(b[6])
		kind, body := b[0], b[11:11+size]
		b = b[11+size+4:]
		switch {
		case kind == 9 && body[1] == 0:
			s.video, err = h264.ParseConfig(body[5:])
		case kind == 9 && body[1] == 1:
			composition := int64(int32(binary.BigEndian.Uint32(body[1:])<<8) >> 8)
			s.frames = append(s.frames, frame{true, 90 * (ms + composition), 90 * ms, body[5:]})
		case kind == 8 && body[1] == 0:
			s.audio, err = aac.ParseConfig(body[2:])
		case kind == 8:
			pts := samples * 90_000 / int64(s.audio.SampleRate)
			samples += int64(s.audio.SamplesPerFrame)
			s.frames = append(s.frames, frame{false, pts, pts, body[2:]})
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if len(s.frames) == 0 {
		tb.Fatal("the sample has no frames")
	}
	return s
}

// gatherer adds ADTS frames to a stream in units, as a segmenter does.
type gatherer struct {
	tb     testing.TB
	mux    *mpegts.Muxer
	config aac.Config
	frames *mpegts.AudioGatherer
}

func (g *gatherer) add(ts []byte, f frame) []byte {
	g.tb.Helper()
	header, err := g.config.AppendADTSHeader(nil, len(f.data))
	if err != nil {
		g.tb.Fatal(err)
	}
	if g.frames.Full(f.pts, len(header)+len(f.data)) {
		ts = g.flush(ts)
	}
	duration := int64(g.config.SamplesPerFrame) * 90_000 / int64(g.config.SampleRate)
	g.frames.Add(f.pts, duration, header, f.data)
	return ts
}

func (g *gatherer) flush(ts []byte) []byte { return g.mux.AppendAudio(ts, g.frames.Take()) }

// mux makes a transport stream of a sample, shifted in time, in one segment.
func (s sample) mux(tb testing.TB, shift int64) []byte {
	tb.Helper()
	videoType, wait := mpegts.H264, int64(mpegts.GatherWithVideo)
	if s.video.SPS == nil {
		videoType, wait = mpegts.None, mpegts.GatherAlone
	}
	m := mpegts.NewMuxer(videoType, mpegts.AAC)
	g := gatherer{tb, m, s.audio, mpegts.NewAudioGatherer(wait)}
	ts := m.AppendTables(nil)
	for _, f := range s.frames {
		f.pts += shift
		f.dts += shift
		if !f.isVideo {
			ts = g.add(ts, f)
			continue
		}
		ts = m.AppendVideo(ts, mpegts.VideoUnit{
			DTS: f.dts, PTS: f.pts,
			ParameterSets: s.video.AppendAnnexB(nil),
			Data:          f.data, LengthSize: s.video.LengthSize,
		})
	}
	return g.flush(ts)
}
