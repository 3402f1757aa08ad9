package ingest

import "github.com/headwater-live/headwater/ingest/rtmp"

// What connect answers by Enhanced RTMP v2: a codec is forwarded, which is all that an origin
// does with it. It is what package remux carries and the outputs relay; no more, since encoders
// may send whatever is said.
const (
	canForward    = 4
	canMultitrack = 2
	canModEx      = 4
)

// enhancedCodecs returns the codecs that work, each of them tested end to end.
func enhancedCodecs() rtmp.Codecs {
	video := []string{"avc1", "hvc1", "av01", "vp09"}
	audio := []string{"mp4a", "Opus", "ac-3", "ec-3", "fLaC"}
	c := rtmp.Codecs{
		FourCCs: append(append([]string{}, video...), audio...),
		Video:   make(map[string]int),
		Audio:   make(map[string]int),
		CapsEx:  canMultitrack | canModEx,
	}
	for _, name := range video {
		c.Video[name] = canForward
	}
	for _, name := range audio {
		c.Audio[name] = canForward
	}
	return c
}

// rtmpConfig is what holds for a connection that begins now.
func (s *Server) rtmpConfig() rtmp.ServerConfig {
	limits := s.limits.Load()
	return rtmp.ServerConfig{
		HandshakeTimeout: limits.HandshakeTimeout,
		CommandTimeout:   limits.RequestTimeout,
		MediaTimeout:     limits.MediaTimeout,
		IdleTimeout:      limits.IdleTimeout,
		WriteTimeout:     limits.WriteTimeout,
		MaxMessage:       limits.MaxMessage,
		MaxPartial:       limits.MaxPartial,

		MaxPartialMessages: limits.MaxPartialMessages,

		Codecs:       enhancedCodecs(),
		CheckConnect: s.checkConnect,
	}
}
