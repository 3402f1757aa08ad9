package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// listenerNames are the listeners that there can be. NAME.addr is the setting of each.
var listenerNames = []string{"rtmp", "rtmps", "http", "https", "admin"}

// listener is a bound socket as it is served.
type listener struct {
	net.Listener              // with limits and TLS
	socket       net.Listener // without
	passed       bool         // somebody else has bound it, whatever the setting says
}

// listeners are the bound sockets by name; one that is missing is off.
type listeners struct {
	mu     sync.Mutex
	byName map[string]*listener
}

// get returns a listener, nil if it is off.
func (ls *listeners) get(name string) *listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.byName[name]
}

// set puts a listener in place of another, which is returned; nil is off.
func (ls *listeners) set(name string, l *listener) (old *listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	old = ls.byName[name]
	if ls.byName == nil {
		ls.byName = make(map[string]*listener)
	}
	if ls.byName[name] = l; l == nil {
		delete(ls.byName, name)
	}
	return old
}

// addr is where a listener is bound, "" if it is off.
func (ls *listeners) addr(name string) string {
	if l := ls.get(name); l != nil {
		return l.Addr().String()
	}
	return ""
}

// passed reports whether a setting is the address of a listener that somebody else has bound: it cannot be changed here.
func (ls *listeners) passed(key string) bool {
	for _, name := range listenerNames {
		if l := ls.get(name); key == name+".addr" {
			return l != nil && l.passed
		}
	}
	return false
}

// close closes listeners, all without names.
func (ls *listeners) close(names ...string) {
	if len(names) == 0 {
		names = listenerNames
	}
	for _, name := range names {
		if l := ls.set(name, nil); l != nil {
			_ = l.Close()
		}
	}
}

// listenerAddr is the setting of a listener, and listenerTLS its TLS settings, nil for one without.
func listenerAddr(c *config.Config, name string) string {
	return map[string]string{
		"rtmp": c.RTMP.Addr, "rtmps": c.RTMPS.Addr, "http": c.HTTP.Addr, "https": c.HTTPS.Addr, "admin": c.Admin.Addr,
	}[name]
}

func listenerTLS(c *config.Config, name string) *config.TLSListener {
	switch name {
	case "rtmps":
		return &c.RTMPS
	case "https":
		return &c.HTTPS
	}
	return nil
}

// listen binds what is configured, or takes the socket that was bound before. The error names the setting.
func (s *server) listen(sockets systemd.Sockets) error {
	var errs []error
	for _, name := range listenerNames {
		addr := listenerAddr(s.cfg(), name)
		if addr == "" {
			continue
		}
		if files := listenerTLS(s.cfg(), name); files != nil {
			cert, err := loadCertificate(name, *files)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			s.certificates.set(name, cert)
		}
		l, err := s.bind(name, addr, sockets, s.certificates.get(name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.listeners.set(name, l)
	}
	if err := adminIsPrivate(s.cfg(), s.listeners.get("admin")); err != nil {
		errs = append(errs, err)
	}
	for name := range sockets {
		if s.before.BoundByOthers(name) { // else it was turned off since the process before bound it
			errs = append(errs, fmt.Errorf("%s.addr is off, but a socket was passed for it", name))
		}
	}
	return errors.Join(errs...)
}

// bind binds one listener, or takes the socket that was passed for it.
func (s *server) bind(name, addr string, sockets systemd.Sockets, cert *certificate) (*listener, error) {
	socket, passed := s.passedSocket(name, addr, sockets)
	if socket == nil {
		var err error
		if socket, err = net.Listen("tcp", addr); err != nil {
			return nil, fmt.Errorf("%s.addr: %w", name, err)
		}
	}
	l := &listener{Listener: socket, socket: socket, passed: passed}
	switch name {
	case "http", "https":
		l.Listener = s.limiter.Listener(socket)
	case "admin":
		l.Listener = s.adminLimiter.Listener(socket)
	}
	switch {
	case cert == nil:
	case name == "https":
		l.Listener = tls.NewListener(l.Listener, cert.config("h2", "http/1.1"))
	default:
		l.Listener = tls.NewListener(l.Listener, cert.config())
	}
	return l, nil
}

// passedSocket returns the socket that was passed for a listener, and whether somebody else has bound it, who rules then.
// It returns nil if there is none, or if the setting has changed since the process before bound it.
func (s *server) passedSocket(name, addr string, sockets systemd.Sockets) (socket net.Listener, others bool) {
	if socket = sockets.Take(name); socket == nil {
		return nil, false
	}
	others = s.before.BoundByOthers(name)
	switch {
	case liesAt(socket.Addr(), addr):
	case others:
		s.logger.Warn("the socket that was passed lies elsewhere than its setting says, and is used",
			"listener", name, "setting", addr, "addr", socket.Addr().String())
	default:
		s.logger.Info("listener changed", "listener", name, "from", socket.Addr().String(), "to", addr)
		_ = socket.Close()
		return nil, false
	}
	return socket, others
}

// liesAt reports whether a socket is one that net.Listen would bind for an address, "host:port".
func liesAt(socket net.Addr, addr string) bool {
	is, ok := socket.(*net.TCPAddr)
	want, err := net.ResolveTCPAddr("tcp", addr)
	if !ok || err != nil || want.Port != 0 && want.Port != is.Port {
		return false
	}
	if want.IP == nil { // all of this machine, by IPv6 where there is that
		return is.IP.IsUnspecified()
	}
	return want.IP.Equal(is.IP) && want.Zone == is.Zone
}

// adminIsPrivate refuses to serve the private listener to others without a token. The setting was checked before;
// a socket that was passed may lie elsewhere.
func adminIsPrivate(c *config.Config, l *listener) error {
	if l == nil {
		return nil
	}
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok || at.IP.IsLoopback() {
		return nil
	}
	if token, err := c.Admin.ReadToken(); err != nil || token != "" {
		return err
	}
	return fmt.Errorf("admin.token is required because the private listener is bound to %s, which is not a loopback address", at)
}
