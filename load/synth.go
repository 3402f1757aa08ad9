package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

// SynthConfig describes a synthetic stream. Zero values mean the defaults.
type SynthConfig struct {
	Bitrate       int           // of picture and sound together, bits per second (2,600,000)
	FPS           int           // frames per second, 1 to 240 (30)
	GOP           time.Duration // distance of keyframes (2 s)
	Width, Height int           // of the picture, even, 16 to 4096 (1280 x 720)
	AudioBitrate  int           // bits per second, at most 512,000 (128,000); negative is no sound
}

func (c SynthConfig) withDefaults() SynthConfig {
	if c.Bitrate == 0 {
		c.Bitrate = 2_600_000
	}
	if c.FPS == 0 {
		c.FPS = 30
	}
	if c.GOP == 0 {
		c.GOP = 2 * time.Second
	}
	if c.Width == 0 && c.Height == 0 {
		c.Width, c.Height = 1280, 720
	}
	if c.AudioBitrate == 0 {
		c.AudioBitrate = 128_000
	}
	c.AudioBitrate = max(c.AudioBitrate, 0)
	return c
}

// keyframeWeight is how much larger a keyframe is than the other frames: about what x264 makes of a talk
// show at a constant bitrate.
const keyframeWeight = 6

// maxSynthBytes bounds the two GOPs that are kept: 100 Mbit/s with a keyframe every 10 s.
const maxSynthBytes = 256 << 20

func (c SynthConfig) validate() error {
	frames := c.gopFrames()
	switch {
	case c.FPS < 1 || c.FPS > 240:
		return errors.New("1 to 240 frames per second are possible")
	case c.Width < 16 || c.Width > 4096 || c.Height < 16 || c.Height > 4096 || c.Width%2 != 0 || c.Height%2 != 0:
		return errors.New("width and height are even and 16 to 4096")
	case c.AudioBitrate > 512_000:
		return errors.New("more than 512 kbit/s of sound are not possible")
	case c.GOP < 0 || frames < 1 || c.GOP > time.Minute:
		return errors.New("a keyframe comes at most every frame and at least every minute")
	case c.Bitrate < c.AudioBitrate+20_000:
		return errors.New("the bitrate leaves less than 20 kbit/s to the picture")
	case int64(c.Bitrate)/8*int64(2*c.GOP/time.Millisecond)/1000 > maxSynthBytes:
		return errors.New("two GOPs of this bitrate are too large")
	}
	return nil
}

func (c SynthConfig) gopFrames() int {
	return int((c.GOP*time.Duration(c.FPS) + time.Second/2) / time.Second)
}

// Synth is a Source of H.264 and AAC that was never encoded: every decoder plays it (baseline profile, grey
// with coloured blocks, silence), and its frames have just the sizes that make its bitrate.
type Synth struct {
	config  SynthConfig
	headers []Tag
	video   []Tag // two GOPs: consecutive IDR pictures have different idr_pic_id
	audio   []byte
}

// NewSynth makes a synthetic stream. The bitrate it reaches is Bitrate as long as the picture has room for
// so many bytes; if not, that is an error.
func NewSynth(config SynthConfig) (*Synth, error) {
	c := config.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("synthetic stream: %w", err)
	}
	s := &Synth{config: c}
	if c.AudioBitrate > 0 {
		s.audio = append([]byte{0xaf, 1}, silence(c.AudioBitrate)...)
	}
	picture := newPicture(c.Width, c.Height, c.FPS)
	if err := s.makeHeaders(picture); err != nil {
		return nil, fmt.Errorf("synthetic stream: %w", err)
	}
	if err := s.makeVideo(picture); err != nil {
		return nil, fmt.Errorf("synthetic stream: %w", err)
	}
	return s, nil
}

func (s *Synth) makeHeaders(p picture) error {
	config, err := h264.ConfigFromParameterSets([][]byte{p.sps()}, [][]byte{p.pps()})
	if err != nil {
		return err
	}
	c := s.config
	properties := []flvtag.Property{
		{Name: "width", Value: float64(c.Width)}, {Name: "height", Value: float64(c.Height)},
		{Name: "framerate", Value: float64(c.FPS)}, {Name: "videocodecid", Value: 7.0},
		{Name: "videodatarate", Value: float64(c.Bitrate-c.AudioBitrate) / 1000},
	}
	if s.audio != nil {
		properties = append(properties,
			flvtag.Property{Name: "audiocodecid", Value: 10.0}, flvtag.Property{Name: "stereo", Value: true},
			flvtag.Property{Name: "audiosamplerate", Value: float64(sampleRate)},
			flvtag.Property{Name: "audiodatarate", Value: float64(c.AudioBitrate) / 1000})
	}
	s.headers = []Tag{
		{Kind: flvtag.Script, Body: flvtag.AppendMetadata(nil, properties)},
		{Kind: flvtag.Video, Body: config.Append([]byte{0x17, 0, 0, 0, 0})},
	}
	if s.audio != nil {
		s.headers = append(s.headers, Tag{Kind: flvtag.Audio, Body: append([]byte{0xaf, 0}, audioConfig...)})
	}
	return nil
}

// makeVideo makes the frames of two GOPs. A block of the picture is as small a step as there is; what a
// frame has too much or too little goes to the next one.
func (s *Synth) makeVideo(p picture) error {
	n := s.config.gopFrames()
	perGOP := float64(s.config.Bitrate-s.config.AudioBitrate) / 8 * float64(n) / float64(s.config.FPS)
	unit := perGOP / float64(n-1+keyframeWeight)
	due := 0.0
	for i := range 2 * n {
		weight := 1.0
		if i%n == 0 {
			weight = keyframeWeight
		}
		due += unit * weight
		room := int(due) - stampOverhead
		tag := Tag{Kind: flvtag.Video, key: i%n == 0, stampAt: 5, lengthSize: 4}
		header := []byte{0x27, 1, 0, 0, 0}
		var slice []byte
		if tag.key {
			header[0] = 0x17
			slice = p.idr(i/n, i, room)
		} else {
			slice = p.inter(i%n, i, room)
		}
		if len(slice) > flvtag.MaxBodySize/2 {
			return errors.New("a frame would be larger than a message may be")
		}
		tag.Body = append(header, byte(len(slice)>>24), byte(len(slice)>>16), byte(len(slice)>>8), byte(len(slice)))
		tag.Body = append(tag.Body, slice...)
		due -= float64(len(tag.Body) + stampOverhead)
		s.video = append(s.video, tag)
	}
	if due > perGOP/50 || due < -perGOP/50 {
		return fmt.Errorf("a picture of %dx%d cannot have so %s a bitrate", s.config.Width, s.config.Height,
			map[bool]string{true: "high", false: "low"}[due > 0])
	}
	return nil
}

// stampOverhead is what a stamp adds to a frame.
const stampOverhead = 4 + 1 + 2 + stampBody + 1

// Headers implements Source.
func (s *Synth) Headers() []Tag { return s.headers }

// Stamped implements Source.
func (s *Synth) Stamped() bool { return true }

// Play implements Source.
func (s *Synth) Play() Player { return &synthPlayer{synth: s} }

// synthPlayer counts frames, so that the times never drift from the rates.
type synthPlayer struct {
	synth        *Synth
	video, audio int64
}

func (p *synthPlayer) Next() Tag {
	videoAt := p.video * 1000 / int64(p.synth.config.FPS)
	if p.synth.audio != nil {
		if at := p.audio * samplesPerFrame * 1000 / sampleRate; at < videoAt {
			p.audio++
			return Tag{Kind: flvtag.Audio, At: at, Body: p.synth.audio}
		}
	}
	t := p.synth.video[p.video%int64(len(p.synth.video))]
	p.video++
	t.At = videoAt
	return t
}
