package remux

import "time"

// EndReason says why a publication ended. Its values are stable: they appear in
// logs, metrics and the API.
type EndReason string

// The reasons.
const (
	EndUnpublished  EndReason = "unpublished"  // the encoder said so
	EndDisconnected EndReason = "disconnected" // the connection closed or broke
	EndSilent       EndReason = "silent"       // no media for too long
	EndTakenOver    EndReason = "taken-over"   // the same publisher came back on a new connection
	EndKicked       EndReason = "ended-by-operator"
	EndExpired      EndReason = "permission-expired" // the permission to publish was for a time
	EndTooMuch      EndReason = "bitrate-over-limit" // more was sent than the permission is for
	EndShutdown     EndReason = "server-shutdown"
	EndUpgrade      EndReason = "upgrade" // another process goes on with it
)

var endReasons = [...]EndReason{EndUnpublished, EndDisconnected, EndSilent, EndTakenOver, EndKicked, EndExpired, EndTooMuch, EndShutdown, EndUpgrade}

// Counters count what a publication sent and what was wrong with it.
type Counters struct {
	Messages    uint64 `json:"messages"`
	Bytes       uint64 `json:"bytes"`
	VideoFrames uint64 `json:"video_frames"`
	AudioFrames uint64 `json:"audio_frames"`
	Keyframes   uint64 `json:"keyframes"`

	// Clamped, Realigned and Jumped count repairs of timestamps.
	Clamped   uint64 `json:"timestamps_clamped"`
	Realigned uint64 `json:"timestamps_realigned"`
	Jumped    uint64 `json:"timestamps_jumped"`
	// Malformed counts messages whose header, configuration or frame is broken.
	Malformed uint64 `json:"malformed"`
	// Unconfigured counts frames dropped because no decoder configuration came.
	Unconfigured uint64 `json:"dropped_without_configuration"`
	// Undecodable counts frames dropped because no keyframe had come yet.
	Undecodable uint64 `json:"dropped_before_keyframe"`
	// Ignored counts messages that carry nothing a viewer could use: ends of
	// sequence, seek commands, empty messages, repeats before the first frame.
	Ignored uint64 `json:"ignored"`
}

// rateMeter measures bytes per second over the last whole seconds.
type rateMeter struct {
	seconds [rateWindow]struct {
		second int64
		bytes  uint64
	}
	first int64
}

// rateWindow is the number of seconds a rate is taken over, the running one
// included: several, so that one large keyframe does not show as a peak.
const rateWindow = 6

func (r *rateMeter) add(now time.Time, bytes int) {
	second := now.Unix()
	if r.first == 0 {
		r.first = second
	}
	slot := &r.seconds[second%rateWindow]
	if slot.second != second {
		slot.second, slot.bytes = second, 0
	}
	slot.bytes += uint64(bytes)
}

// bitsPerSecond returns the rate over the last full seconds, 0 before there is one.
func (r *rateMeter) bitsPerSecond(now time.Time) uint64 {
	second := now.Unix()
	span := min(second-r.first, rateWindow-1)
	if r.first == 0 || span < 1 {
		return 0
	}
	var bytes uint64
	for _, slot := range r.seconds {
		if slot.second < second && slot.second >= second-span {
			bytes += slot.bytes
		}
	}
	return bytes * 8 / uint64(span)
}
