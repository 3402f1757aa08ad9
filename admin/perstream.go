package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwater-live/headwater/remux"
)

// maxStreamSeries is how many streams have series of their own, the first ones by name. Names are
// chosen by publishers, and each costs Prometheus some kilobytes for as long as it remembers.
const maxStreamSeries = 1_000

// The metrics of a stream.
var (
	streamLive      = metric("stream_live", "1 while the stream is being published.", "stream")
	streamViewers   = metric("stream_viewers", "Viewers that read the stream as it comes.", "stream")
	streamBitrate   = metric("stream_ingest_bytes_per_second", "What the publication brings over the last seconds.", "stream")
	streamFrameRate = metric("stream_frame_rate", "Measured video frames per second.", "stream")
	streamGOP       = metric("stream_gop_seconds", "Length of the last GOP.", "stream")
	streamAge       = metric("stream_playlist_age_seconds", "Age of the live stream's HLS playlist.", "stream")
	streamUneven    = metric("stream_uneven_frames_ratio", "Share of video frames that came at uneven times, over the last seconds.", "stream")
	streamDrift     = metric("stream_audio_drift_seconds", "By how much audio and video have drifted apart since they began.", "stream")
	streamGap       = metric("stream_last_gap_seconds", "Length of the newest gap between packets.", "stream")
	streamBehind    = metric("stream_behind_seconds", "How much later media comes than at its best.", "stream")
	streamRepairs   = metric("stream_timestamp_repairs", "Timestamps that were repaired in the publication in progress.", "stream", "kind")
	streamFindings  = metric("stream_findings_active", "Findings of severity warning about the publication in progress.", "stream")

	perStream = []*prometheus.Desc{
		streamLive, streamViewers, streamBitrate, streamFrameRate, streamGOP, streamAge,
		streamUneven, streamDrift, streamGap, streamBehind, streamRepairs, streamFindings,
	}
)

func (s samples) perStream(streams []*remux.Stream, hls func(remux.StreamName) (HLSStatus, bool)) {
	for _, stream := range streams[:min(len(streams), maxStreamSeries)] {
		info := stream.Info()
		name := string(info.Name)
		s.gauge(streamViewers, float64(info.Viewers), name)
		if info.State != "live" {
			s.gauge(streamLive, 0, name)
			continue
		}
		s.gauge(streamLive, 1, name)
		warnings := 0
		for _, f := range info.Publication.Findings {
			if f.Active && f.Severity == remux.Warning {
				warnings++
			}
		}
		s.gauge(streamFindings, float64(warnings), name)
		s.gauge(streamBitrate, float64(info.Publication.Bitrate)/8, name)
		if hls != nil {
			if status, ok := hls(info.Name); ok {
				s.gauge(streamAge, time.Since(status.Updated).Seconds(), name)
			}
		}
		if info.Video != nil {
			s.gauge(streamFrameRate, info.Video.FrameRate, name)
			s.gauge(streamGOP, info.Video.GOP, name)
		}
		s.diagnosis(info.Publication, name)
	}
}

// diagnosis gives what was measured of a publication, as far as a number can say it.
func (s samples) diagnosis(p *remux.PublicationInfo, name string) {
	s.gauge(streamUneven, p.Facts.UnevenFrames, name)
	s.gauge(streamDrift, p.Facts.AudioDrift, name)
	s.gauge(streamGap, p.Facts.LastGap, name)
	s.gauge(streamBehind, p.Facts.Behind, name)
	s.gauge(streamRepairs, float64(p.Counters.Clamped), name, "clamped")
	s.gauge(streamRepairs, float64(p.Counters.Realigned), name, "realigned")
	s.gauge(streamRepairs, float64(p.Counters.Jumped), name, "jumped")
}
