package live

import (
	"io"
	"time"

	"github.com/headwater-live/headwater/live/websocket"
)

const (
	// saidBurst and saidRate bound how many bytes, at once and by the second, a WebSocket's client sends.
	// A viewer has nothing to say but pongs, pings and its goodbye; a single message may have 64 KiB, and
	// its header comes on top. Players over RTMP are bounded alike.
	saidBurst = 64<<10 + 512
	saidRate  = 8 << 10
)

// listened is what a client says. Once that is too much, reading it fails with a *websocket.Error.
type listened struct {
	in    io.Reader
	level float64 // bytes of a bucket that leaks at saidRate
	last  time.Time
}

// Read implements io.Reader.
func (l *listened) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	now := time.Now()
	if !l.last.IsZero() {
		l.level = max(0, l.level-saidRate*now.Sub(l.last).Seconds())
	}
	l.last = now
	if l.level += float64(n); l.level > saidBurst {
		return 0, &websocket.Error{Code: websocket.ClosePolicy, Text: "a viewer sends too much"}
	}
	return n, err
}
