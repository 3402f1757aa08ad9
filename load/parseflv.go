package load

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// parser takes a stream apart as its bytes come. It keeps no bytes that it is given.
type parser interface {
	parse(p []byte, now time.Time) error
}

// malformedError is a fault in what a server sent. Trying again does not help, but is tried.
type malformedError string

func (e malformedError) Error() string { return string(e) }

// errEnded is a stream that has ended in order.
var errEnded = errors.New("the stream ended")

// flvParser reads an FLV stream and looks for stamps in its video frames.
type flvParser struct {
	tracker *tracker
	state   func(*flvParser, time.Time) error // what to do when want bytes are in buf

	buf  []byte // the beginning of what is being read
	want int    // bytes of buf until state is to be called
	skip int    // bytes to pass over before that

	size    int   // of the tag's body
	stamp   stamp // of the tag, if it is stamped
	stamped bool
}

func newFLVParser(t *tracker) *flvParser {
	return &flvParser{tracker: t, want: flvtag.FileHeaderSize, state: (*flvParser).fileHeader}
}

func (f *flvParser) parse(p []byte, now time.Time) error {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip, p = f.skip-n, p[n:]
			continue
		}
		n := min(f.want-len(f.buf), len(p))
		f.buf, p = append(f.buf, p[:n]...), p[n:]
		if len(f.buf) < f.want {
			return nil
		}
		if err := f.state(f, now); err != nil {
			return err
		}
		f.buf = f.buf[:0]
	}
	return nil
}

func (f *flvParser) fileHeader(time.Time) error {
	if string(f.buf[:3]) != "FLV" || binary.BigEndian.Uint32(f.buf[5:]) != 9 {
		return malformedError("the stream does not begin with an FLV header")
	}
	f.want, f.state = flvtag.HeaderSize, (*flvParser).tagHeader
	return nil
}

func (f *flvParser) tagHeader(time.Time) error {
	kind := flvtag.Type(f.buf[0])
	if kind != flvtag.Audio && kind != flvtag.Video && kind != flvtag.Script {
		return malformedError("an FLV tag is neither audio, video nor script data")
	}
	f.size = int(binary.BigEndian.Uint32(f.buf) & 0xffffff)
	if kind == flvtag.Video && f.size > 0 {
		f.want, f.state = min(f.size, stampSearch), (*flvParser).videoBody
		return nil
	}
	f.skip, f.want, f.state = f.size, flvtag.TrailerSize, (*flvParser).trailer
	return nil
}

// videoBody has the beginning of a frame. It has been received when its end has.
func (f *flvParser) videoBody(time.Time) error {
	f.stamp, f.stamped = findStamp(f.buf)
	f.skip, f.want, f.state = f.size-len(f.buf), flvtag.TrailerSize, (*flvParser).trailer
	return nil
}

func (f *flvParser) trailer(now time.Time) error {
	if got := binary.BigEndian.Uint32(f.buf); got != uint32(f.size+flvtag.HeaderSize) {
		return malformedError("the size behind an FLV tag is not that of the tag")
	}
	if f.stamped {
		f.tracker.frame(f.stamp, now)
		f.stamped = false
	}
	f.want, f.state = flvtag.HeaderSize, (*flvParser).tagHeader
	return nil
}
