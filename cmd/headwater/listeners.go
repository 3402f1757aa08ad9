package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// listeners are the bound sockets; nil is off.
type listeners struct{ rtmp, rtmps, http, https, admin net.Listener }

// listen binds what is configured, or takes the socket that was bound before. The error names the setting.
func (s *server) listen(sockets systemd.Sockets) error {
	var errs []error
	bind := func(key, addr string, to *net.Listener) {
		if addr == "" {
			return
		}
		l, err := sockets.Listen(strings.TrimSuffix(key, ".addr"), addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
			return
		}
		if key == "http.addr" || key == "https.addr" {
			l = s.limiter.Listener(l)
		}
		*to = l
	}
	bindTLS := func(key string, c config.TLSListener, to *net.Listener, protocols ...string) {
		if !c.Enabled() {
			return
		}
		cert, err := loadCertificate(key, c)
		if err != nil {
			errs = append(errs, err)
			return
		}
		s.certificates = append(s.certificates, cert)
		var plain net.Listener
		bind(key, c.Addr, &plain)
		if plain != nil {
			*to = tls.NewListener(plain, cert.config(protocols...))
		}
	}
	bind("rtmp.addr", s.cfg.RTMP.Addr, &s.listeners.rtmp)
	bindTLS("rtmps.addr", s.cfg.RTMPS, &s.listeners.rtmps)
	bind("http.addr", s.cfg.HTTP.Addr, &s.listeners.http)
	bindTLS("https.addr", s.cfg.HTTPS, &s.listeners.https, "h2", "http/1.1")
	bind("admin.addr", s.cfg.Admin.Addr, &s.listeners.admin)
	if err := s.adminIsPrivate(); err != nil {
		errs = append(errs, err)
	}
	for name := range sockets {
		errs = append(errs, fmt.Errorf("%s.addr is off, but a socket was passed for it", name))
	}
	return errors.Join(errs...)
}

// adminIsPrivate refuses to serve the private listener to others without a token. The setting was checked before;
// a socket that was passed may lie elsewhere.
func (s *server) adminIsPrivate() error {
	if s.listeners.admin == nil {
		return nil
	}
	at, ok := s.listeners.admin.Addr().(*net.TCPAddr)
	if !ok || at.IP.IsLoopback() {
		return nil
	}
	if token, err := s.cfg.Admin.ReadToken(); err != nil || token != "" {
		return err
	}
	return fmt.Errorf("admin.token is required because the private listener is bound to %s, which is not a loopback address", at)
}

func (s *server) closeListeners() {
	for _, l := range []net.Listener{s.listeners.rtmp, s.listeners.rtmps, s.listeners.http, s.listeners.https, s.listeners.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// addr is where a listener is bound, "" if it is off.
func addr(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}
