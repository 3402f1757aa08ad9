// Package oddity makes of clean media what odd encoders send: clocks that jump and wrap, tracks that come late,
// headers that are repeated or missing. Tests of the whole server and of single rooms try the same habits.
package oddity

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Tag is an FLV tag of audio or video.
type Tag struct {
	Kind   uint8  // 8 is audio, 9 video
	Time   uint32 // when it is sent, in ms
	Claims uint32 // the timestamp that it has, in ms modulo 2^32
	Body   []byte // H.264 or AAC
}

const (
	audio = 8
	video = 9
)

// Config reports whether the tag is a decoder configuration.
func (t Tag) Config() bool { return len(t.Body) > 1 && t.Body[1] == 0 }

// Coded reports whether the tag is a coded frame.
func (t Tag) Coded() bool { return len(t.Body) > 1 && t.Body[1] == 1 }

// Oddity is a habit of some encoder.
type Oddity struct {
	Name string
	// Change returns the tags as the odd encoder sends them. It may change those it is given, not their bodies.
	Change func([]Tag) []Tag
}

const hour = 3_600_000

// All are the habits that are known. Those that begin at some time need media of 10 s or more.
var All = []Oddity{
	{"clock-jumps-an-hour-ahead-at-a-keyframe", moved(6000, hour, true, true)},
	{"clock-jumps-back-amid-a-gop", moved(6500, -100_000, true, true)},
	{"audio-clock-alone-jumps-an-hour", moved(6000, hour, false, true)},
	{"video-clock-alone-jumps-an-hour", moved(6000, hour, true, false)},
	{"clock-wraps-at-2^32", moved(0, -5000, true, true)},
	{"clock-passes-2^31", moved(0, 1<<31-5000, true, true)},
	{"both-tracks-have-a-hole-of-six-seconds", moved(6000, 6000, true, true)},
	{"audio-comes-three-seconds-late", late(audio, 3000)},
	{"video-comes-four-seconds-late", late(video, 4000)},
	{"headers-repeated-before-every-keyframe", repeatHeaders},
	{"parameter-sets-in-band-only", inBand},
	{"annex-b-in-place-of-avcc", annexB},
	{"one-picture-in-fifty-steps-back", stepBack},
	{"empty-audio-messages", emptySound},
}

// moved moves the timestamps of tracks by some ms from a time on.
func moved(from uint32, by int64, picture, sound bool) func([]Tag) []Tag {
	return func(tags []Tag) []Tag {
		for i := range tags {
			t := &tags[i]
			if t.Time >= from && !t.Config() && (t.Kind == video && picture || t.Kind == audio && sound) {
				t.Claims += uint32(by)
			}
		}
		return tags
	}
}

// late leaves out the frames of a track before a time, and sends its header then.
func late(kind uint8, from uint32) func([]Tag) []Tag {
	return func(tags []Tag) []Tag {
		var header, out []Tag
		for _, t := range tags {
			switch {
			case t.Kind != kind:
				out = append(out, t)
			case t.Config():
				header = append(header, t)
			case t.Time >= from:
				for _, h := range header {
					h.Time, h.Claims = t.Time, t.Claims
					out = append(out, h)
				}
				header = nil
				out = append(out, t)
			}
		}
		return out
	}
}

func isKeyframe(t Tag) bool { return t.Kind == video && t.Coded() && t.Body[0]>>4 == 1 }

func videoHeader(tags []Tag) Tag {
	i := slices.IndexFunc(tags, func(t Tag) bool { return t.Kind == video && t.Config() })
	return tags[i]
}

func repeatHeaders(tags []Tag) []Tag {
	header := videoHeader(tags)
	var out []Tag
	for _, t := range tags {
		if isKeyframe(t) {
			header.Time, header.Claims = t.Time, t.Claims
			out = append(out, header)
		}
		out = append(out, t)
	}
	return out
}

// inBand leaves the video header out and puts its parameter sets into the keyframes.
func inBand(tags []Tag) []Tag {
	sets := parameterSets(videoHeader(tags).Body[5:])
	var out []Tag
	for _, t := range tags {
		if t.Kind == video && t.Config() {
			continue
		}
		if isKeyframe(t) {
			t.Body = slices.Concat(t.Body[:5], sets, t.Body[5:])
		}
		out = append(out, t)
	}
	return out
}

// parameterSets returns SPS and PPS of an avcC with one of each, with lengths of 4 bytes.
func parameterSets(avcC []byte) []byte {
	var out []byte
	cut := func(b []byte) []byte {
		n := int(binary.BigEndian.Uint16(b))
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = append(out, b[2:2+n]...)
		return b[2+n:]
	}
	rest := cut(avcC[6:])
	cut(rest[1:])
	return out
}

func annexB(tags []Tag) []Tag {
	for i, t := range tags {
		if t.Kind != video || !t.Coded() {
			continue
		}
		body := bytes.Clone(t.Body[:5])
		for rest := t.Body[5:]; len(rest) > 4; {
			n := int(binary.BigEndian.Uint32(rest))
			body = append(append(body, 0, 0, 0, 1), rest[4:4+n]...)
			rest = rest[4+n:]
		}
		tags[i].Body = body
	}
	return tags
}

func stepBack(tags []Tag) []Tag {
	n := 0
	for i := range tags {
		if tags[i].Kind == video && tags[i].Coded() {
			if n++; n%50 == 30 {
				tags[i].Claims -= 70
			}
		}
	}
	return tags
}

// emptySound puts a message without a body, which is legal, before each frame of sound.
func emptySound(tags []Tag) []Tag {
	var out []Tag
	for _, t := range tags {
		if t.Kind == audio && t.Coded() {
			out = append(out, Tag{Kind: audio, Time: t.Time, Claims: t.Claims})
		}
		out = append(out, t)
	}
	return out
}
