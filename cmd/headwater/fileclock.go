package main

import (
	"context"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// longestGap is the longest silence in a file that is published as it is. What is longer is where something
// was cut out, or where a recorder started anew, and nobody wants to wait for that.
const longestGap = 5 * time.Second

// fileClock turns the timestamps of a file that is played again and again into one sequence that goes on:
// a round begins one frame after the end of the one before, and gaps longer than longestGap are closed.
// Only media moves it. Configuration and metadata often have timestamp 0 in a file that begins later, so
// they get the time of what came before them.
type fileClock struct {
	started bool                      // there was a frame
	running bool                      // there was a frame in this round
	last    uint32                    // its timestamp in the file, milliseconds modulo 2^32
	now     int64                     // its time in the sequence, milliseconds
	latest  int64                     // the latest time given out
	track   map[flvtag.Type]trackTime // by audio and video
}

type trackTime struct{ at, frame int64 } // the newest frame of a track and its distance from the one before

func newFileClock() *fileClock { return &fileClock{track: map[flvtag.Type]trackTime{}} }

// at returns the time of a tag in the sequence. Times of different tracks may go back a little, as they do
// in the file.
func (c *fileClock) at(tag fileTag) int64 {
	if !isFrame(tag) {
		return c.latest
	}
	step := int64(int32(tag.timestamp - c.last))
	gap := max(step, -step) > longestGap.Milliseconds()
	switch {
	case c.running && !gap:
		c.now += step
	case c.started:
		c.now = c.latest + c.frame()
	}
	c.started, c.running, c.last, c.latest = true, true, tag.timestamp, max(c.latest, c.now)
	t := c.track[tag.kind]
	if distance := c.now - t.at; distance > 0 {
		t.frame = distance
	}
	t.at = c.now
	c.track[tag.kind] = t
	return c.now
}

// rewind says that the next tag is the first one of the file again.
func (c *fileClock) rewind() { c.running = false }

// frame is how long a frame lasts: the distance between the newest two frames of the picture, else of the
// sound.
func (c *fileClock) frame() int64 {
	const guess = 40 // milliseconds, when there was only one frame of each
	for _, kind := range []flvtag.Type{flvtag.Video, flvtag.Audio} {
		if t := c.track[kind]; t.frame > 0 && t.frame <= longestGap.Milliseconds() {
			return t.frame
		}
	}
	return guess
}

// isFrame tells coded media from configuration, metadata and the mark at the end of a sequence. What cannot
// be parsed is media: it is for the server to judge.
func isFrame(tag fileTag) bool { return packetOf(tag) == flvtag.Frames }

func packetOf(tag fileTag) flvtag.Packet {
	switch tag.kind {
	case flvtag.Audio:
		if h, err := flvtag.ParseAudio(tag.body); err == nil {
			return h.Packet
		}
	case flvtag.Video:
		if h, err := flvtag.ParseVideo(tag.body); err == nil {
			return h.Packet
		}
	case flvtag.Script:
		return flvtag.Metadata
	}
	return flvtag.Frames
}

// pacer waits until a time of the sequence has come. Times are milliseconds since whatever the first one
// is since.
type pacer struct {
	start time.Time // when time 0 of the sequence was
	begun bool
}

// wait waits for a time of the sequence, or until ctx ends. A pacer that is more than longestGap late, after
// a network or a machine stood still, goes on from here: catching up would be a flood.
func (p *pacer) wait(ctx context.Context, at int64) error {
	offset := time.Duration(at) * time.Millisecond
	late := time.Since(p.start.Add(offset))
	if !p.begun || late > longestGap {
		p.begun, p.start, late = true, time.Now().Add(-offset), 0
	}
	if late >= 0 {
		return context.Cause(ctx)
	}
	return sleep(ctx, -late)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
