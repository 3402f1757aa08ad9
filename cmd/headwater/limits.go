package main

import (
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/crowd"
)

// limits are the settings that bound what a peer may do, and what it may cost.
func limits(c *config.Config) map[string]float64 {
	return map[string]float64{
		"rtmp.max_message":              float64(c.RTMP.MaxMessage),
		"rtmp.max_connections":          float64(c.RTMP.MaxConnections),
		"rtmp.max_connections_per_ip":   float64(c.RTMP.MaxConnectionsPerIP),
		"rtmp.max_handshakes":           float64(c.RTMP.MaxHandshakes),
		"rtmp.max_handshakes_per_ip":    float64(rtmpCrowd(c).PerNetworkHandshakes()),
		"rtmp.max_before_auth":          float64(c.RTMP.MaxBeforeAuth),
		"http.max_connections":          float64(c.HTTP.MaxConnections),
		"http.max_connections_per_ip":   float64(c.HTTP.MaxConnectionsPerIP),
		"http.max_handshakes":           float64(c.HTTP.MaxHandshakes),
		"http.max_handshakes_per_ip":    float64(httpCrowd(c).PerNetworkHandshakes()),
		"http.max_header":               float64(c.HTTP.MaxHeader),
		"http.header_timeout":           c.HTTP.HeaderTimeout.Seconds(),
		"admin.max_connections":         float64(c.Admin.MaxConnections),
		"admin.max_connections_per_ip":  float64(c.Admin.MaxConnectionsPerIP),
		"stream.max_publishers":         float64(c.Stream.MaxPublishers),
		"stream.max_viewers":            float64(c.Stream.MaxViewers),
		"stream.max_viewers_per_stream": float64(c.Stream.MaxViewersPerStream),
		"rtmp.handshake_timeout":        c.RTMP.HandshakeTimeout.Seconds(),
		"rtmp.request_timeout":          c.RTMP.RequestTimeout.Seconds(),
		"rtmp.media_timeout":            c.RTMP.MediaTimeout.Seconds(),
		"rtmp.idle_timeout":             c.RTMP.IdleTimeout.Seconds(),
		"rtmp.write_timeout":            c.RTMP.WriteTimeout.Seconds(),
		"rtmp.max_partial":              float64(c.RTMP.MaxPartial),
		"rtmp.max_partial_messages":     float64(c.RTMP.MaxPartialMessages),
		"stream.max_takeovers":          float64(c.Stream.MaxTakeovers),
		"stream.max_streams":            float64(c.Stream.MaxStreams),
		"stream.grace":                  c.Stream.Grace.Seconds(),
		"flv.wait":                      c.FLV.Wait.Seconds(),
		"flv.max_backlog":               float64(c.FLV.MaxBacklog),
		"drain.timeout":                 c.Drain.Timeout.Seconds(),
		"storage.quota":                 float64(c.Storage.Quota),
		"hls.max_held":                  float64(c.HLS.MaxHeld),
	}
}

// rtmpCrowd and httpCrowd are the bounds on the connections of the listeners of a protocol together.
func rtmpCrowd(cfg *config.Config) crowd.Limits {
	return crowd.Limits{
		Connections: cfg.RTMP.MaxConnections, PerNetwork: cfg.RTMP.MaxConnectionsPerIP,
		Handshakes: cfg.RTMP.MaxHandshakes, HandshakesPerNetwork: cfg.RTMP.MaxHandshakesPerIP,
	}
}

func httpCrowd(cfg *config.Config) crowd.Limits {
	return crowd.Limits{
		Connections: cfg.HTTP.MaxConnections, PerNetwork: cfg.HTTP.MaxConnectionsPerIP,
		Handshakes: cfg.HTTP.MaxHandshakes, HandshakesPerNetwork: cfg.HTTP.MaxHandshakesPerIP,
	}
}

// adminCrowd are those of the private listener. Half of its connections may be there without a request yet: whoever opens
// them and says nothing leaves room for others.
func adminCrowd(cfg *config.Config) crowd.Limits {
	return crowd.Limits{
		Connections: cfg.Admin.MaxConnections, PerNetwork: cfg.Admin.MaxConnectionsPerIP,
		Handshakes: (cfg.Admin.MaxConnections + 1) / 2,
	}
}
