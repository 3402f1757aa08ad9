package e2e

import (
	"fmt"
	"time"
)

// A tolerance says how far a frame's time may be from where it belongs.
type tolerance struct {
	video time.Duration
	audio time.Duration // against the source's times, which are whole milliseconds
	// clock bounds audio against an ideal clock that counts samples. 0: not
	// checked, for outputs whose own times are whole milliseconds.
	clock time.Duration
}

var (
	// FLV carries the source's milliseconds.
	flvTolerance = tolerance{video: time.Millisecond, audio: time.Millisecond}
	// TS carries 90 kHz. A clock that counts samples from the first frame's
	// millisecond starts up to 0.5 ms off, and the source's times are rounded by
	// up to 0.5 ms themselves; one tick of 11 µs is for rounding to 90 kHz.
	tsTolerance = tolerance{
		video: time.Millisecond,
		audio: time.Millisecond + 12*time.Microsecond,
		clock: time.Millisecond,
	}
)

// aacFrame is the number of samples in an AAC-LC frame.
const aacFrame = 1024

// maxFaults bounds a report: after a few faults the rest says nothing new.
const maxFaults = 8

// account compares what came out with what went in and lists the differences:
// every frame exactly once, in order, with one constant offset for both tracks.
func account(in, out media, tol tolerance) []string {
	faults := accountPayloads("video", in.video, out.video)
	faults = append(faults, accountPayloads("audio", in.audio, out.audio)...)
	if len(faults) > 0 {
		return faults // the times of other frames compare to nothing
	}
	var offset time.Duration
	switch {
	case len(in.video) > 0:
		offset = out.video[0].dts - in.video[0].dts
	case len(in.audio) > 0:
		offset = out.audio[0].dts - in.audio[0].dts
	}
	faults = append(faults, accountTimes("video", in.video, out.video, offset, tol.video)...)
	faults = append(faults, accountTimes("audio", in.audio, out.audio, offset, tol.audio)...)
	if tol.clock > 0 {
		faults = append(faults, accountClock(out.audio, in.audioRate, tol.clock)...)
	}
	return faults
}

// accountPayloads compares the frames' bytes in order.
func accountPayloads(track string, in, out []frame) []string {
	var faults []string
	if len(in) != len(out) {
		faults = append(faults, fmt.Sprintf("%s: %d frames went in, %d came out", track, len(in), len(out)))
	}
	for i := range min(len(in), len(out)) {
		if in[i].hash == out[i].hash {
			continue
		}
		return append(faults, fmt.Sprintf("%s: frame %d of %d (dts %v) %s", track, i, len(in), in[i].dts, divergence(in, out, i)))
	}
	switch {
	case len(out) < len(in):
		faults = append(faults, fmt.Sprintf("%s: the last %d frames are missing", track, len(in)-len(out)))
	case len(out) > len(in):
		faults = append(faults, fmt.Sprintf("%s: %d frames too many at the end", track, len(out)-len(in)))
	}
	return faults
}

// divergence describes what out has in place of in[i].
func divergence(in, out []frame, i int) string {
	for j := range in {
		if in[j].hash != out[i].hash {
			continue
		}
		if j < i {
			return fmt.Sprintf("has in its place frame %d again", j)
		}
		return fmt.Sprintf("has in its place frame %d: %d are missing or come later", j, j-i)
	}
	return "came out with other bytes"
}

// accountTimes compares the frames' times after taking away offset.
func accountTimes(track string, in, out []frame, offset, tol time.Duration) []string {
	var faults []string
	for i := range in {
		dts := out[i].dts - offset - in[i].dts
		pts := out[i].pts - offset - in[i].pts
		if dts.Abs() <= tol && pts.Abs() <= tol {
			continue
		}
		faults = append(faults, fmt.Sprintf("%s: frame %d (dts %v): dts is off by %v, pts by %v", track, i, in[i].dts, dts, pts))
		if len(faults) == maxFaults {
			return append(faults, track+": …")
		}
	}
	return faults
}

// accountClock compares audio times with a clock that counts samples.
func accountClock(audio []frame, rate int, tol time.Duration) []string {
	var faults []string
	for i, f := range audio {
		ideal := audio[0].pts + time.Duration(int64(i)*aacFrame*int64(time.Second)/int64(rate))
		if off := f.pts - ideal; off.Abs() > tol {
			faults = append(faults, fmt.Sprintf("audio: frame %d is off its sample clock by %v", i, off))
			if len(faults) == maxFaults {
				break
			}
		}
	}
	return faults
}
