package ts

import (
	"log/slog"
	"time"

	"github.com/headwater-live/headwater/live"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// Config configures a Server.
type Config struct {
	Hub bytelog.Hub
	// Latency is the longest time a packet waits for others before viewers are written to; 0
	// is at once.
	Latency time.Duration
	// Wait is how long a viewer may wait for a publisher; 0 is not at all.
	Wait time.Duration
	// MaxBacklog is how many bytes a viewer may be behind before it continues at the newest
	// keyframe (8 MiB).
	MaxBacklog int
	Logger     *slog.Logger
}

// Server serves streams as HTTP-TS, also over WebSocket.
type Server struct{ *live.Server }

// NewServer returns a server without viewers.
func NewServer(config Config) *Server {
	return &Server{live.NewServer(live.Config{
		Hub:         config.Hub,
		Format:      func(remux.Tracks) bytelog.Format { return newFormat() },
		Protocol:    "ts",
		ContentType: "video/mp2t",
		WebSocket:   true,
		Latency:     config.Latency,
		Wait:        config.Wait,
		MaxBacklog:  config.MaxBacklog,
		Logger:      config.Logger,
	})}
}
