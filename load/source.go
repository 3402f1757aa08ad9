package load

import (
	"errors"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

// Tag is an FLV tag of a source: what becomes one RTMP message.
type Tag struct {
	Kind flvtag.Type
	At   int64 // milliseconds from the beginning of the source, never less than 0
	Body []byte

	key bool // a video frame that decoding can begin at, or a frame of a source without video

	// For a video frame: where in the body a stamp may go, and how.
	stampAt    int // 0 is nowhere
	lengthSize int
	hevc       bool
}

// Source is a stream without an end, the same for every publisher.
type Source interface {
	// Headers returns what a publication begins with: metadata and decoder configurations.
	Headers() []Tag
	// Play returns the frames from the beginning. Their bodies must not be changed.
	Play() Player
	// Stamped says whether the frames can carry stamps, without which there is no delay to report.
	Stamped() bool
}

// Player returns the frames of a source one by one, in the order in which they are sent.
type Player interface {
	Next() Tag
}

// Clip is a Source that repeats tags that were read from somewhere.
type Clip struct {
	headers []Tag
	frames  []Tag
	length  int64 // of a round, milliseconds
	stamped bool
}

// NewClip makes a source of tags in the order of the file. Length is how long a round of them takes, in
// milliseconds. The bodies are kept.
func NewClip(tags []Tag, length int64) (*Clip, error) {
	c := &Clip{length: length}
	var layout videoLayout
	hasVideo := false
	for _, t := range tags {
		switch packetOf(t) {
		case flvtag.Frames:
			if t.Kind == flvtag.Video {
				hasVideo = true
				layout.mark(&t)
				c.stamped = c.stamped || t.stampAt > 0
			}
			c.frames = append(c.frames, t)
		case flvtag.SequenceHeader:
			if t.Kind == flvtag.Video {
				layout.learn(t.Body)
			}
			c.add(t)
		case flvtag.EndOfSequence:
		default:
			c.add(t)
		}
	}
	if len(c.frames) == 0 {
		return nil, errors.New("there is neither audio nor video")
	}
	if length <= c.frames[len(c.frames)-1].At {
		return nil, errors.New("a round ends before its last frame")
	}
	for i := range c.frames {
		c.frames[i].key = c.frames[i].key || !hasVideo
	}
	return c, nil
}

// add takes what is no frame: as a header when nothing has been sent yet, else in its place.
func (c *Clip) add(t Tag) {
	if len(c.frames) == 0 {
		c.headers = append(c.headers, t)
		return
	}
	c.frames = append(c.frames, t)
}

// Headers implements Source.
func (c *Clip) Headers() []Tag { return c.headers }

// Stamped implements Source.
func (c *Clip) Stamped() bool { return c.stamped }

// Play implements Source.
func (c *Clip) Play() Player { return &clipPlayer{clip: c} }

type clipPlayer struct {
	clip   *Clip
	next   int
	offset int64
}

func (p *clipPlayer) Next() Tag {
	if p.next == len(p.clip.frames) {
		p.next, p.offset = 0, p.offset+p.clip.length
	}
	t := p.clip.frames[p.next]
	p.next++
	t.At += p.offset
	return t
}

func packetOf(t Tag) flvtag.Packet {
	switch t.Kind {
	case flvtag.Audio:
		if h, err := flvtag.ParseAudio(t.Body); err == nil {
			return h.Packet
		}
	case flvtag.Video:
		if h, err := flvtag.ParseVideo(t.Body); err == nil {
			return h.Packet
		}
	case flvtag.Script:
		return flvtag.Metadata
	}
	return flvtag.Frames
}

// videoLayout says how the NALUs of a track are framed.
type videoLayout struct{ lengthSize int }

// learn reads a decoder configuration. One that cannot be read leaves the frames without stamps.
func (l *videoLayout) learn(body []byte) {
	l.lengthSize = 0
	h, err := flvtag.ParseVideo(body)
	if err != nil {
		return
	}
	record := body[h.Data:]
	switch {
	case h.Codec == flvtag.H264:
		if config, err := h264.ParseConfig(record); err == nil {
			l.lengthSize = config.LengthSize
		}
	case h.Codec == flvtag.HEVC && len(record) > 21:
		// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1): lengthSizeMinusOne ends byte 21.
		l.lengthSize = int(record[21]&3) + 1
	}
}

// mark finds where a stamp may go: before the first NALU, or behind it when it is a delimiter, which must
// be the first.
func (l *videoLayout) mark(t *Tag) {
	h, err := flvtag.ParseVideo(t.Body)
	if err != nil {
		return
	}
	t.key = h.Frame == flvtag.FrameKey
	if l.lengthSize == 0 || h.Codec != flvtag.H264 && h.Codec != flvtag.HEVC || h.Data >= len(t.Body) {
		return
	}
	t.stampAt, t.lengthSize, t.hevc = h.Data, l.lengthSize, h.Codec == flvtag.HEVC
	c := h264.NALUs(t.Body[h.Data:], l.lengthSize)
	if !c.Next() {
		t.stampAt = 0 // its NALUs are not where they should be
		return
	}
	first := h.Data + l.lengthSize // empty NALUs may stand before it
	if isDelimiter(c.NALU(), t.hevc) && &t.Body[first] == &c.NALU()[0] {
		t.stampAt = first + len(c.NALU())
	}
}

func isDelimiter(nalu []byte, hevc bool) bool {
	if hevc {
		return nalu[0]>>1&0x3f == 35 // AUD_NUT (ITU-T H.265, table 7-1)
	}
	return h264.TypeOf(nalu) == h264.TypeAUD
}
