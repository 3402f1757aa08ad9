package flv

import (
	"github.com/headwater-live/headwater/live"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// Config configures a Server.
type Config = live.Config

// Server serves streams as HTTP-FLV and WebSocket-FLV.
type Server struct{ *live.Server }

// NewServer returns a server without viewers.
func NewServer(config Config) *Server {
	return &Server{live.NewServer(config, live.Container{
		Format:      func(wanted remux.Tracks) bytelog.Format { return format{tracks: wanted} },
		Protocol:    "flv",
		ContentType: "video/x-flv",
		MaxTime:     flvtag.MaxTimestamp,
	})}
}
