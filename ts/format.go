package ts

import (
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/mpegts"
)

const (
	// perMillisecond is the number of ticks of MPEG-TS in a millisecond.
	perMillisecond = 90
	// tableInterval is how long PAT and PMT may be away, in ticks: who tunes in to a copy of
	// the stream waits for them.
	tableInterval = 45_000
	// tablesSize is what they take.
	tablesSize = 2 * mpegts.PacketSize
	// never is later than all times.
	never = 1 << 62
	// configSize is what a decoder configuration may take of a log: nothing of it is written,
	// but a format is shown only what takes room.
	configSize = 1
)

// format is MPEG-TS. It is a bytelog.Format.
type format struct {
	mux   *mpegts.Muxer
	video *video
	audio *aac.Config
	clock aac.Clock
	// gatherer has the sound that is not written yet, from the time gathered on.
	gatherer *mpegts.AudioGatherer
	gathered int64
	header   []byte // of an ADTS frame
	// has are the tracks that the running publication has shown; of others there may be an earlier one's
	// configuration, which is in force again if they come.
	has remux.Tracks
	// kinds are the tracks that the tables announce, and stale says that these have changed.
	kinds [2]mpegts.StreamType
	stale bool
	// tabled is when the tables were written last, on the video's clock.
	tabled int64
	// started are the counters at the newest unit that viewers may begin with.
	started mpegts.Counters
}

func newFormat() *format {
	return &format{mux: mpegts.NewMuxer(mpegts.None, mpegts.None), clock: aac.NewClock(),
		gatherer: mpegts.NewAudioGatherer(mpegts.GatherWithVideo), gathered: never}
}

// Size implements bytelog.Format.
func (f *format) Size(pkt *remux.Packet) int {
	f.prepare(pkt)
	switch {
	case pkt.Kind == remux.VideoConfig, pkt.Kind == remux.AudioConfig:
		return configSize
	case f.carriesVideo(pkt):
		return tablesSize + f.EndSize() + f.mux.VideoSize(f.unit(pkt))
	case f.carriesAudio(pkt):
		return tablesSize + f.EndSize()
	}
	return 0
}

// Append implements bytelog.Format.
func (f *format) Append(dst []byte, pkt *remux.Packet, start bool) []byte {
	switch pkt.Kind {
	case remux.VideoConfig:
		f.setVideo(pkt)
	case remux.AudioConfig:
		f.setAudio(pkt)
	case remux.VideoFrame:
		u := f.unit(pkt)
		if f.mux.VideoSize(u) == 0 {
			return dst
		}
		dst = f.tables(dst, u.DTS, start)
		if u.DTS-f.gathered >= mpegts.GatherWithVideo {
			dst = f.sound(dst)
		}
		return f.mux.AppendVideo(dst, u)
	case remux.AudioFrame:
		return f.audioFrame(dst, pkt, start)
	}
	return dst
}

// audioFrame gathers a frame, and writes what was gathered when that is enough.
func (f *format) audioFrame(dst []byte, pkt *remux.Packet, start bool) []byte {
	header, err := f.audio.AppendADTSHeader(f.header[:0], len(pkt.Body()))
	if err != nil {
		return dst // no ADTS header can say it: the frame is larger than AAC allows
	}
	f.header = header
	at, duration := f.clock.Next(pkt.DTS), f.clock.Duration()
	if f.gatherer.Full(at, len(header)+len(pkt.Body())) {
		dst = f.sound(f.tables(dst, at, start))
	}
	f.gathered = min(f.gathered, at)
	f.gatherer.Add(at, duration, header, pkt.Body())
	return dst
}

// sound writes what was gathered.
func (f *format) sound(dst []byte) []byte {
	f.gathered = never
	return f.mux.AppendAudio(dst, f.gatherer.Take())
}

// EndSize implements bytelog.Ender.
func (f *format) EndSize() int {
	f.mux.SetTracks(f.kinds[0], f.kinds[1])
	if n := f.mux.AudioSize(f.gatherer.Gathered()); n > 0 {
		return tablesSize + n
	}
	return 0
}

// End implements bytelog.Ender: the sound that was gathered.
func (f *format) End(dst []byte, start bool) []byte {
	return f.sound(f.tables(dst, f.gathered, start))
}

// Join implements bytelog.Format. Who begins is sent the tables with the first unit.
func (f *format) Join(dst []byte, j bytelog.Join) []byte {
	if j.First {
		return dst
	}
	next := f.started
	if j.AtEnd {
		next = f.mux.Counters()
	}
	return f.mux.AppendJump(dst, next)
}

// tables writes PAT and PMT before a unit where they are due.
func (f *format) tables(dst []byte, at int64, start bool) []byte {
	if start {
		f.started = f.mux.Counters()
	}
	if !start && !f.stale && at-f.tabled < tableInterval {
		return dst
	}
	f.stale, f.tabled = false, at
	return f.mux.AppendTables(dst)
}

// prepare brings the muxer up to date for a frame: what Size says must hold for Append.
func (f *format) prepare(pkt *remux.Packet) {
	// Frames have the last word: of a track that begins with the configuration that an earlier publication had
	// nothing else is shown, and one of another codec may have none.
	has := f.has
	switch pkt.Kind {
	case remux.VideoFrame:
		has.Video = f.carriesVideo(pkt)
	case remux.AudioFrame:
		has.Audio = f.carriesAudio(pkt)
	}
	if has != f.has {
		f.has = has
		f.announce()
	}
	f.mux.SetTracks(f.kinds[0], f.kinds[1])
	if pkt.Discontinuity { // a jump of the publisher's clock
		f.mux.Discontinuity()
		f.clock.Reset()
	}
}

// unit is a video frame for the muxer.
func (f *format) unit(pkt *remux.Packet) mpegts.VideoUnit {
	at := pkt.DTS * perMillisecond
	return mpegts.VideoUnit{
		DTS:           at,
		PTS:           at + int64(pkt.Composition)*perMillisecond,
		RandomAccess:  pkt.Keyframe || pkt.Recovery, // viewers may begin with either (2.1.2, 2.4.3.5)
		ParameterSets: f.video.sets,
		Data:          pkt.Body(),
		LengthSize:    f.video.lengthSize,
	}
}
