package main

import (
	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// sources gives the admin server what the rooms know of themselves.
func (s *server) sources(cfg *config.Config) admin.Sources {
	sources := admin.Sources{
		Version:  currentVersion(),
		Started:  s.started,
		Totals:   s.hub.Totals,
		Refusals: s.refusals,
		Skipped:  s.ingest.Skipped,
		Viewers:  map[string]func() admin.ViewerCounts{"rtmp": viewers(s.ingest.Metrics())},
		Limits:   limits(cfg),
		Hooks:    s.hookStatus,
		Stale:    s.access.staleFiles,

		Certificates: s.certificateExpiries,

		AccessLog:     s.accessLogStatus,
		Configuration: s.configurationStatus,
	}
	sources.Viewers["flv"] = viewers(s.flv.Metrics())
	sources.Viewers["ts"] = viewers(s.ts.Metrics())
	if s.hls != nil {
		sources.Viewers["hls"] = func() admin.ViewerCounts {
			return admin.ViewerCounts{Viewers: int64(s.hls.Clients()), BytesSent: s.hls.Metrics().BytesSent.Load()}
		}
		sources.Segments = segments(s.hls.Metrics())
		sources.Storage = storageHealth(s.hls)
	}
	return sources
}

// configurationStatus says how the newest reload went.
func (s *server) configurationStatus() admin.ConfigurationStatus {
	if s.reloads == nil {
		return admin.ConfigurationStatus{OK: true, Read: s.started}
	}
	return s.reloads.Status()
}

func viewers(m *bytelog.Metrics) func() admin.ViewerCounts {
	return func() admin.ViewerCounts {
		return admin.ViewerCounts{
			Viewers:   m.Viewers.Load(),
			BytesSent: m.BytesSent.Load(),
			Jumps:     m.Jumps.Load(),
			Behind:    m.Behind.Load(),
			Stalled:   m.Stalled.Load(),
			Delay:     m.Delay,
		}
	}
}

func segments(m *hls.Metrics) func() admin.SegmentCounts {
	return func() admin.SegmentCounts {
		return admin.SegmentCounts{
			Listed:          m.SegmentsListed.Load(),
			Lost:            m.SegmentsLost.Load(),
			Evicted:         m.SegmentsEvicted.Load(),
			StorageErrors:   m.StorageErrors.Load(),
			StorageTimeouts: m.StorageTimeouts.Load(),
			FramesLeftOut:   m.FramesLeftOut.Load(),
			PublishDelay:    m.PublishDelay,
		}
	}
}

func storageHealth(s *hls.Server) func() admin.StorageHealth {
	return func() admin.StorageHealth {
		h := s.Health()
		return admin.StorageHealth{
			OK: h.OK, Reason: h.Reason, Since: h.Since, Faulty: h.Channels, Unread: h.Unread, Held: h.Held, Stored: h.Used,
		}
	}
}

// refusals adds up what the rooms refused, by reason.
func (s *server) refusals() map[string]uint64 {
	all := s.ingest.Refusals()
	rooms := []map[string]uint64{s.access.Refusals(), s.limiter.Refusals(), s.adminLimiter.Refusals(), s.guard.Refusals()}
	if s.flv != nil {
		rooms = append(rooms, s.flv.Refusals())
	}
	if s.ts != nil {
		rooms = append(rooms, s.ts.Refusals())
	}
	for _, more := range rooms {
		for reason, n := range more {
			all[reason] += n
		}
	}
	return all
}

// addresses are those that the API tells of.
func (s *server) addresses(cfg *config.Config) admin.Addresses {
	return admin.Addresses{
		HTTP: s.listeners.addr("http"), HTTPS: s.listeners.addr("https"),
		RTMP: s.listeners.addr("rtmp"), RTMPS: s.listeners.addr("rtmps"),
		PublicURL: cfg.HTTP.PublicURL,
		HLS:       cfg.HLS.Enabled, FLV: cfg.FLV.Enabled, TS: cfg.TS.Enabled, Watch: cfg.HTTP.WatchPage,
	}
}

// settings are the configuration in force.
func (s *server) settings() []admin.Setting {
	var list []admin.Setting
	for _, v := range s.cfg().Shown() {
		list = append(list, admin.Setting(v))
	}
	return list
}

// hlsStatus tells the API of HLS windows; nil if HLS is off.
func (s *server) hlsStatus() func(remux.StreamName) (admin.HLSStatus, bool) {
	if s.hls == nil {
		return nil
	}
	return func(name remux.StreamName) (admin.HLSStatus, bool) {
		st, ok := s.hls.Status(name)
		out := admin.HLSStatus{
			Path: st.Path, Ended: st.Ended, Updated: st.Updated, TargetDuration: st.TargetDuration.Seconds(),
			MediaSequence: st.MediaSequence, DiscontinuitySequence: st.DiscontinuitySequence,
			Peak: st.Peak, Average: st.Average, Codecs: st.Codecs, Clients: st.Clients,
		}
		for _, g := range st.Segments {
			out.Length += g.Duration.Seconds()
			out.Segments = append(out.Segments, admin.HLSSegment{
				Path: g.Path, Sequence: g.Sequence, Seconds: g.Duration.Seconds(), Date: g.Date, Bytes: g.Size,
				Discontinuity: g.Discontinuity, InMemory: g.InMemory,
			})
		}
		return out, ok
	}
}
