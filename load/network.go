package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// network opens connections.
type network struct {
	// perAddress is how many connections leave from one source address, where the server is on loopback and
	// there are as many addresses as one likes. 0 leaves the choice to the kernel.
	perAddress int
	tls        *tls.Config
}

// connectionsPerAddress leaves some of the 28,000 ports that Linux hands out by default to others.
const connectionsPerAddress = 20_000

// dial opens a TCP connection for the client with this number.
func (n *network) dial(ctx context.Context, addr string, client int) (net.Conn, error) {
	d := net.Dialer{Timeout: joinTimeout, KeepAlive: -1}
	if host, err := netip.ParseAddrPort(addr); err == nil && n.perAddress > 0 {
		if from, ok := sourceFor(host.Addr(), client/n.perAddress); ok {
			d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
			d.Control = bindLate
		}
	}
	return d.DialContext(ctx, "tcp", addr)
}

// sourceFor returns the address from which the n-th batch of connections to a loopback address leaves. The
// first one is left to the kernel.
func sourceFor(host netip.Addr, n int) (netip.Addr, bool) {
	if n < 1 || n > 250 || !host.Is4() || !host.IsLoopback() {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{127, 0, 1, byte(n)}), true
}

// dialURL opens a connection, over TLS if the URL says so.
func (n *network) dialURL(ctx context.Context, u *url.URL, client int) (net.Conn, error) {
	secure := u.Scheme == "https" || u.Scheme == "wss"
	port := u.Port()
	if port == "" {
		port = "80"
		if secure {
			port = "443"
		}
	}
	conn, err := n.dial(ctx, net.JoinHostPort(u.Hostname(), port), client)
	if err != nil || !secure {
		return conn, err
	}
	config := n.tls.Clone()
	config.ServerName = u.Hostname()
	wrapped := tls.Client(conn, config)
	if err := wrapped.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return wrapped, nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
