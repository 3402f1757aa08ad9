package remux

// Facts are what the diagnosis has measured of a publication, be it good or bad. They are of
// the last whole window of some seconds, where they are not sums.
type Facts struct {
	// UnevenFrames is the share, 0 to 1, of video frames that came at uneven times.
	UnevenFrames float64 `json:"uneven_frames"`
	// AudioOffset is how many seconds audio is ahead of video when they arrive, and
	// AudioDrift by how much that has changed; 0 before it is known.
	AudioOffset float64 `json:"audio_offset_seconds"`
	AudioDrift  float64 `json:"audio_drift_seconds"`
	// LastGap is the length of the newest gap, in seconds; 0 without one.
	LastGap float64 `json:"last_gap_seconds"`
	// Behind is how many seconds later media comes than at its best.
	Behind float64 `json:"behind_seconds"`
	// BFrames says that frames are shown in another order than they are decoded in.
	BFrames bool `json:"b_frames"`
	// VideoBitrate is in bits per second.
	VideoBitrate uint64 `json:"video_bitrate"`
}

func (d *diagnosis) facts() Facts {
	f := Facts{
		UnevenFrames: d.video.uneven,
		LastGap:      d.arrival.gap.Seconds(),
		Behind:       d.arrival.behind().Seconds(),
		BFrames:      d.states[bFrames].active,
		VideoBitrate: uint64(d.window.videoRate),
	}
	if m := &d.drift; m.before {
		f.AudioOffset = m.offset / 1000
		if m.baseline {
			f.AudioDrift = (m.offset - m.base) / 1000
		}
	}
	return f
}
