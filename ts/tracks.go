package ts

import (
	"errors"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/h265"
	"github.com/headwater-live/headwater/remux/mpegts"
)

var errCodec = errors.New("the transport stream does not carry this codec")

// video is what must be known of a video configuration.
type video struct {
	codec      flvtag.Codec
	kind       mpegts.StreamType
	sets       []byte // parameter sets in Annex B
	lengthSize int
}

// Begin implements bytelog.Beginner.
func (f *format) Begin(tracks remux.Tracks) {
	f.has = tracks
	f.announce()
}

// carriesVideo reports whether a packet is a frame by the configuration there is.
func (f *format) carriesVideo(pkt *remux.Packet) bool {
	return pkt.Kind == remux.VideoFrame && f.video != nil && pkt.Codec == f.video.codec
}

func (f *format) carriesAudio(pkt *remux.Packet) bool {
	return pkt.Kind == remux.AudioFrame && f.audio != nil && pkt.Codec == flvtag.AAC
}

// setVideo takes a configuration, which is in force from the next frame on, a keyframe.
func (f *format) setVideo(pkt *remux.Packet) {
	v, err := readVideo(pkt)
	if err != nil {
		v = nil // the rest is served without it
	}
	f.video, f.has.Video = v, true
	f.announce()
}

func readVideo(pkt *remux.Packet) (*video, error) {
	switch pkt.Codec {
	case flvtag.H264:
		c, err := h264.ParseConfig(pkt.Body())
		if err != nil {
			return nil, err
		}
		return &video{pkt.Codec, mpegts.H264, c.AppendAnnexB(nil), c.LengthSize}, nil
	case flvtag.HEVC:
		c, err := h265.ParseConfig(pkt.Body())
		if err != nil {
			return nil, err
		}
		return &video{pkt.Codec, mpegts.HEVC, c.AppendAnnexB(nil), c.LengthSize}, nil
	}
	return nil, errCodec
}

func (f *format) setAudio(pkt *remux.Packet) {
	f.audio, f.has.Audio = nil, true
	if config, err := aac.ParseConfig(pkt.Body()); err == nil && pkt.Codec == flvtag.AAC {
		if _, err := config.AppendADTSHeader(nil, 0); err == nil { // else a kind that ADTS cannot say
			f.audio = &config
			f.clock.Configure(config)
		}
	}
	f.announce()
}

// announce has the tables name the tracks there are from the next unit on.
func (f *format) announce() {
	kinds := [2]mpegts.StreamType{}
	if f.video != nil && f.has.Video {
		kinds[0] = f.video.kind
	}
	if f.audio != nil && f.has.Audio {
		kinds[1] = mpegts.AAC
	}
	f.stale = f.stale || kinds != f.kinds
	f.kinds = kinds
}
