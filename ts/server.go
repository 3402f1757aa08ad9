package ts

import (
	"github.com/headwater-live/headwater/live"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// Config configures a Server.
type Config = live.Config

// Server serves streams as HTTP-TS, also over WebSocket.
type Server struct{ *live.Server }

// NewServer returns a server without viewers.
func NewServer(config Config) *Server {
	return &Server{live.NewServer(config, live.Container{
		Format:      func(remux.Tracks) bytelog.Format { return newFormat() },
		Protocol:    "ts",
		ContentType: "video/mp2t",
	})}
}
