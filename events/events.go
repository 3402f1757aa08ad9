// Package events says what happens, as it happens, to whoever wants to know: a bus that
// remembers the newest events, and readers that follow it.
//
// Whoever emits never waits. An event goes into a ring of fixed size; a [Reader] is a position in
// it. A reader that is slower than the ring is long misses events, and is told how many: nothing is
// ever lost in silence. Events are numbered from 1 without gaps within one run of the server, and
// the [ID] that a client keeps says which run it means, so that a reader who comes back after a
// restart is told that it missed what it cannot know.
//
//	rooms ──Emit──▶ Bus ──▶ Reader: Server-Sent Events (package admin)
//	                   └──▶ Reader: webhooks (package hooks)
package events

import (
	"time"
)

// Type names a kind of event. Its values are stable: clients branch on them.
type Type string

// The types.
const (
	// ServerStarted is the first event of a run. Whatever was live before is not any more.
	ServerStarted Type = "server.started"
	// PublishStarted and PublishEnded are of a publication: somebody began, and is gone.
	PublishStarted Type = "publish.started"
	PublishEnded   Type = "publish.ended"
	// StreamLive: a publication has shown its tracks, so there is something to see. StreamIdle:
	// nobody publishes, and the stream waits for the publisher's return. StreamEnded: it has
	// waited long enough, or the server ends.
	StreamLive  Type = "stream.live"
	StreamIdle  Type = "stream.idle"
	StreamEnded Type = "stream.ended"
	// SegmentPublished: an HLS segment was listed.
	SegmentPublished Type = "segment.published"
	// ViewersChanged: a stream has another number of viewers than was last said.
	ViewersChanged Type = "viewers.changed"
	// FindingRaised and FindingCleared are of a publication's diagnosis.
	FindingRaised  Type = "finding.raised"
	FindingCleared Type = "finding.cleared"
	// Missed stands in for events that a reader did not get.
	Missed Type = "events.missed"
)

// Types are all types, in the order of this package's constants.
var Types = []Type{
	ServerStarted, PublishStarted, PublishEnded, StreamLive, StreamIdle, StreamEnded,
	SegmentPublished, ViewersChanged, FindingRaised, FindingCleared, Missed,
}

// Event is one thing that happened. It is immutable once it was emitted.
type Event struct {
	ID   ID        `json:"id"`
	Time time.Time `json:"time"`
	Type Type      `json:"type"`
	// Stream is "APP/NAME", "" for an event of the server.
	Stream string `json:"stream,omitempty"`
	// Generation counts the publications of the stream; 0 where none is meant.
	Generation uint64 `json:"generation,omitempty"`
	// Data depends on the type: Server, Publish, Live, End, Segment, Viewers, Finding, Gap; nil
	// for an idle stream.
	Data any `json:"data,omitempty"`
}

// Server is the data of ServerStarted.
type Server struct {
	Version string `json:"version"`
}

// Publish is the data of PublishStarted.
type Publish struct {
	Remote   string `json:"remote"`
	Protocol string `json:"protocol"`
	// Encoder is the name the encoder gives itself; untrusted text.
	Encoder string `json:"encoder,omitempty"`
}

// Live is the data of StreamLive.
type Live struct {
	Video bool `json:"video"`
	Audio bool `json:"audio"`
}

// End is the data of PublishEnded and StreamEnded.
type End struct {
	Reason string `json:"reason"`
	// Seconds, Bytes and the frames are of the publication.
	Seconds     float64 `json:"seconds,omitempty"`
	Bytes       uint64  `json:"bytes,omitempty"`
	VideoFrames uint64  `json:"video_frames,omitempty"`
	AudioFrames uint64  `json:"audio_frames,omitempty"`
}

// Segment is the data of SegmentPublished.
type Segment struct {
	// Path is the segment's path on the public listener.
	Path          string  `json:"path"`
	Sequence      uint64  `json:"sequence"`
	Seconds       float64 `json:"seconds"`
	Bytes         int64   `json:"bytes"`
	Discontinuity bool    `json:"discontinuity"`
}

// Viewers is the data of ViewersChanged.
type Viewers struct {
	Total      int            `json:"total"`
	ByProtocol map[string]int `json:"by_protocol"`
}

// Finding is the data of FindingRaised and FindingCleared; docs/diagnosis.md has the codes.
type Finding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Measured string `json:"measured"`
	Advice   string `json:"advice"`
}

// Gap is the data of Missed.
type Gap struct {
	// Events is how many were missed; 0 is unknown, because they were of an earlier run.
	Events uint64 `json:"events"`
}
