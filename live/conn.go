package live

import (
	"context"
	"net"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// connKey is the key of a request's connection in its context.
type connKey struct{}

// WithConn is for http.Server.ConnContext. A viewer over HTTP/2 leaves its connection to net/http, and this is
// how it is found to be tuned all the same; without it, it is not.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// tune prepares the connection of a request for a viewer. What else is sent over it is bounded by the same
// options, which do it no harm.
func tune(ctx context.Context) {
	if conn, ok := ctx.Value(connKey{}).(net.Conn); ok {
		bytelog.NewConn(conn).Tune()
	}
}
