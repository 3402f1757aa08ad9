package remux

import (
	"fmt"
	"time"
)

// FindingCode names a finding of a publication's diagnosis. Its values are stable: they appear
// in logs, metrics and the API, and docs/diagnosis.md says of each what the streamer should do.
type FindingCode string

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	// Informational: it is good to know, and may be meant so.
	Informational Severity = "info"
	// Warning: viewers are worse off than they need be.
	Warning Severity = "warning"
)

// Finding is one thing that was found about a publication.
type Finding struct {
	Code     FindingCode `json:"code"`
	Severity Severity    `json:"severity"`
	// Active is false once it has not been found for a while.
	Active bool `json:"active"`
	// Measured says what was measured when it was last found, Advice what to change.
	Measured string `json:"measured"`
	Advice   string `json:"advice"`
	// Raised is when it was last raised, Seen when it was last found.
	Raised time.Time `json:"raised"`
	Seen   time.Time `json:"seen"`
	// Times counts how often it was raised.
	Times int `json:"times"`
}

// finding is the index of a code in the table.
type finding uint8

const (
	gopTooLong finding = iota
	gopIrregular
	noKeyframes
	frameRateUnsteady
	audioVideoDrift
	timestampsJumped
	timestampsClamped
	timestampsRealigned
	gapsBetweenPackets
	publisherBehind
	bitrateUnsteady
	bitrateTooLow
	audioMissing
	videoMissing
	bFrames
	configurationMissing
	malformedMessages
	codecUnsupported
	encoderName
	numFindings
)

const (
	// steady is how long a state, such as the length of GOPs, must be good before its
	// finding is cleared: longer than a window, so that one good window does it and half a
	// one does not.
	steady = measureWindow + 2*time.Second
	// rare is the same for events. An operator who is called has a minute to look.
	rare = time.Minute
)

// findingKind is a row of the table: what never changes about a finding.
type findingKind struct {
	code     FindingCode
	severity Severity
	hold     time.Duration
	advice   string
	// measured says what v holds; text is there for what is no number.
	measured func(v measures) string
}

// measures are the numbers of a finding, and at most one text.
type measures struct {
	n    [3]float64
	text string
	mild bool // it may be meant so: informational, whatever the table says
}

// kinds is the table of all findings. docs/diagnosis.md has a section for each row.
var kinds = [numFindings]findingKind{
	gopTooLong: {"gop-too-long", Warning, steady,
		"In OBS: Settings, Output, Keyframe Interval 2 s. 0 is automatic, which is up to 8 s.",
		numbers("%.1f s from keyframe to keyframe", 1)},
	gopIrregular: {"gop-irregular", Informational, steady,
		"Fix the keyframe interval at 2 s and turn scene cut detection off (x264 options: scenecut=0).",
		numbers("%.0f of the last %.0f GOPs differ from the usual %.1f s", 3)},
	noKeyframes: {"no-keyframes", Warning, steady,
		"Set the keyframe interval to 2 s; turn intra refresh off, which sends no keyframes.",
		numbers("%.0f s of video without a keyframe, %.0f frames could not be passed on", 2)},
	frameRateUnsteady: {"frame-rate-unsteady", Warning, steady,
		"The encoder leaves out frames: choose a faster preset, a hardware encoder or a smaller picture, and a constant frame rate.",
		numbers("%.0f %% of frames are early or late, usual are %.1f frames/s, measured %.1f", 3)},
	audioVideoDrift: {"audio-video-drift", Warning, steady,
		"Use one sample rate (48 kHz) for all audio devices and OBS; restart the capture device that runs on another clock.",
		numbers("audio comes %+.2f s against video, %+.2f s since the beginning", 2)},
	timestampsJumped: {"timestamps-jumped", Warning, rare,
		"The encoder's clock was set or its source started over: do not loop files in the encoder, keep the computer's clock from being set by hand.",
		numbers("%.0f jumps of the clock of both tracks", 1)},
	timestampsClamped: {"timestamps-clamped", Warning, rare,
		"Frames come with times that do not increase: update the encoder, or use constant frame rate output.",
		numbers("%.0f timestamps did not increase in the last %.0f s, %.0f in all", 3)},
	timestampsRealigned: {"timestamps-realigned", Warning, rare,
		"One track's clock jumped alone: look for an audio device that was unplugged or reset, and restart its source.",
		numbers("%.0f jumps of one track alone", 1)},
	gapsBetweenPackets: {"gaps-between-packets", Warning, rare,
		"The network between encoder and server stalls: use a cable, lower the bitrate, look for other uploads.",
		numbers("nothing came for %.1f s, in which the media went on by %.1f s; %.0f gaps in all", 3)},
	publisherBehind: {"publisher-behind", Warning, steady,
		"The upload is too slow for the bitrate: lower the video bitrate to 70 % of the measured upload, or enable dynamic bitrate (OBS: Settings, Advanced, Network).",
		numbers("the media comes %.1f s later than it did", 1)},
	bitrateUnsteady: {"bitrate-unsteady", Informational, rare,
		"Use rate control CBR, and dynamic bitrate off if the network allows it.",
		numbers("%.0f kbit/s where %.0f kbit/s are usual", 2)},
	bitrateTooLow: {"bitrate-too-low", Informational, steady,
		"Raise the video bitrate, or lower the output resolution.",
		numbers("%.0f kbit/s of video, %.4f bit per pixel; %.4f is the least that looks good", 3)},
	audioMissing: {"audio-missing", Warning, steady,
		"In OBS: the mixer must show a source that is not muted, and Output, Streaming, Audio Track must be one that has it.",
		numbers("no audio frame for %.0f s", 1)},
	videoMissing: {"video-missing", Warning, steady,
		"If a picture is meant to be there: look whether the encoder failed to start (OBS: Help, Log Files).",
		numbers("no video frame for %.0f s", 1)},
	bFrames: {"b-frames", Informational, rare,
		"Nothing is wrong. For the least delay set Max B-frames to 0 or Tune to zerolatency.",
		numbers("frames are shown up to %.0f ms after they are decoded", 1)},
	configurationMissing: {"configuration-missing", Warning, steady,
		"Stop and start the stream, so that the encoder sends its configuration again; use another RTMP output if it stays.",
		numbers("frames wait %.0f s for their decoder configuration, %.0f were dropped", 2)},
	malformedMessages: {"malformed-messages", Warning, rare,
		"Update the encoder: it sends messages that are no media.",
		numbers("%.0f broken messages in the last %.0f s, %.0f in all", 3)},
	codecUnsupported: {"codec-unsupported", Warning, steady,
		"In OBS: Settings, Output, Video Encoder H.264 or HEVC and Audio Encoder AAC.",
		said},
	encoderName: {"encoder", Informational, steady,
		"Nothing is wrong: this is the name that the encoder gives itself.",
		said},
}

func numbers(format string, n int) func(measures) string {
	return func(v measures) string {
		args := make([]any, n)
		for i := range args {
			args[i] = v.n[i]
		}
		return fmt.Sprintf(format, args...)
	}
}

func said(v measures) string { return v.text }

// findingState is what is known of one finding of a publication.
type findingState struct {
	active       bool
	times        int
	raised, seen time.Time
	measures     measures
	// said: the log has heard that it was raised, and must hear that it was cleared.
	said bool
}

func (f finding) render(st *findingState) Finding {
	k := &kinds[f]
	severity := k.severity
	if st.measures.mild {
		severity = Informational
	}
	return Finding{
		Code: k.code, Severity: severity, Active: st.active,
		Measured: k.measured(st.measures), Advice: k.advice,
		Raised: st.raised, Seen: st.seen, Times: st.times,
	}
}

// sayAgain is how long a stream's finding is not logged again after it was: one that comes and
// goes, or a publisher that does, would fill the log with the same line.
const sayAgain = 10 * time.Minute

// find reports what a measurement showed: it raises, updates or clears a finding.
func (p *Publication) find(f finding, now time.Time, found bool, v measures) {
	st := &p.diagnosis.states[f]
	switch {
	case found:
		st.measures, st.seen = v, now
		if !st.active {
			p.raise(f, st, now)
		}
	case st.active && now.Sub(st.seen) >= kinds[f].hold:
		st.active = false
		if st.said {
			st.said = false
			p.say(f, st)
		}
	}
}

func (p *Publication) raise(f finding, st *findingState, now time.Time) {
	st.active, st.raised = true, now
	st.times++
	p.stream.tally.raised[f]++
	said := &p.stream.said[f]
	if said.IsZero() || now.Sub(*said) >= sayAgain {
		*said, st.said = now, true
		p.say(f, st)
	}
}

func (p *Publication) say(f finding, st *findingState) {
	if heard := p.stream.hub.config.Events.Finding; heard != nil {
		heard(p.stream.name, p, f.render(st))
	}
}

// findings renders what was found, that which still is first.
func (d *diagnosis) findings() []Finding {
	var list []Finding
	for _, active := range []bool{true, false} {
		for f := range numFindings {
			if st := &d.states[f]; st.times > 0 && st.active == active {
				list = append(list, f.render(st))
			}
		}
	}
	return list
}
