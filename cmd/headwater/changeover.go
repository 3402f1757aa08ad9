package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge/accesslog"
)

// changeover is a new configuration and all that it takes to put it in force. Making one does everything that can
// fail, and changes nothing.
type changeover struct {
	server *server
	cfg    config.Config
	token  string // of the private listener

	bound        map[string]*listener // in place of those there are; nil is off
	certificates map[string]*certificate
	policies     *policies
	edge         *http.Server // nil if the one there is stays

	logsElsewhere bool
	accessLog     *accesslog.Log // if so; nil is off
}

// change puts a configuration in force, as a whole or not at all, and returns what has changed and what waits for the
// next start. Nobody who is connected is disturbed. Only the reloader calls it.
func (s *server) change(next config.Config) ([]config.Change, error) {
	inForce, changes, err := config.Reload(*s.cfg(), next, s.listeners.passed)
	if err != nil {
		return nil, err
	}
	c := &changeover{server: s, cfg: inForce, bound: map[string]*listener{}, certificates: map[string]*certificate{}}
	if err := c.prepare(changes); err != nil {
		c.abandon()
		return nil, err
	}
	c.commit()
	return changes, nil
}

// prepare does what can fail. The error is a config.Faults.
func (c *changeover) prepare(changes []config.Change) error {
	s, was := c.server, c.server.cfg()
	var faults config.Faults
	fault := func(key string, err error) {
		faults = append(faults, config.Fault{Key: key, Origin: c.cfg.Origin(key), Err: err})
	}
	for _, name := range listenerNames {
		if err := c.prepareListener(name); err != nil {
			fault(name+".addr", err)
		}
	}
	admin := c.bound["admin"]
	if _, replaced := c.bound["admin"]; !replaced {
		admin = s.listeners.get("admin")
	}
	if err := adminIsPrivate(&c.cfg, admin); err != nil {
		fault("admin.token", err)
	}
	var err error
	if c.token, err = c.cfg.Admin.ReadToken(); err != nil {
		fault("admin.token_file", err)
	}
	c.policies = s.access.current.Load()
	// The files behind settings may have changed, too.
	if len(c.cfg.Auth.SecretFiles()) > 0 || slices.ContainsFunc(changes, func(c config.Change) bool { return strings.HasPrefix(c.Key, "auth.") }) {
		policies, err := s.access.newPolicies(c.cfg.Auth, c.policies)
		if err != nil {
			fault("auth.publish", err)
		} else {
			c.policies = policies
		}
	}
	if c.cfg.HTTP.MaxHeader != was.HTTP.MaxHeader || c.cfg.HTTP.HeaderTimeout != was.HTTP.HeaderTimeout {
		c.edge = s.newEdge(&c.cfg)
	}
	if c.cfg.HTTP.AccessLog != was.HTTP.AccessLog || c.cfg.HTTP.AccessLogFormat != was.HTTP.AccessLogFormat {
		c.logsElsewhere = true
		if c.accessLog, err = s.openAccessLog(&c.cfg); err != nil {
			fault("http.access_log", err)
		}
	}
	if len(faults) == 0 {
		// It can fail, and cannot be taken back: so it comes last.
		if err := s.hooks.Change(hookConfig(&c.cfg, s.logger)); err != nil {
			fault("hooks.dir", err)
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// prepareListener binds a listener that shall be elsewhere, and reads a certificate that shall be another.
func (c *changeover) prepareListener(name string) error {
	s, was := c.server, c.server.cfg()
	from, to := listenerAddr(was, name), listenerAddr(&c.cfg, name)
	cert := s.certificates.get(name)
	if files := listenerTLS(&c.cfg, name); files != nil && to != "" {
		before := listenerTLS(was, name)
		if cert == nil || from == "" || files.Cert != before.Cert || files.Key != before.Key {
			read, err := loadCertificate(name, *files)
			if err != nil {
				return err
			}
			c.certificates[name] = read
			if cert == nil {
				cert = read
			}
		}
	}
	switch {
	case from == to:
	case to == "":
		c.bound[name] = nil
	default:
		l, err := s.bind(name, to, nil, cert)
		if err != nil {
			return err
		}
		c.bound[name] = l
	}
	return nil
}

// abandon leaves everything as it was.
func (c *changeover) abandon() {
	for _, l := range c.bound {
		if l != nil {
			_ = l.Close()
		}
	}
	if c.accessLog != nil {
		c.accessLog.Discard()
	}
	if c.policies != nil && c.policies != c.server.access.current.Load() {
		c.policies.end()
	}
}

// commit puts everything in force. It cannot fail.
func (c *changeover) commit() {
	s := c.server
	for name, cert := range c.certificates {
		s.access.stale.set(name+" certificate", false)
		if there := s.certificates.get(name); there != nil {
			there.take(s.access.ctx, cert, s.logger)
			continue
		}
		s.certificates.set(name, cert)
		s.followCertificate(name, cert)
	}
	replaced := maps.Clone(c.bound)
	for name, l := range c.bound {
		replaced[name] = s.listeners.set(name, l)
	}
	s.running.Store(&c.cfg)
	s.access.change(c.policies, &c.cfg)
	if c.logsElsewhere {
		s.accessLog.Use(c.accessLog)
	}
	s.tune(&c.cfg, c.token)
	if c.edge != nil {
		s.public.use(c.edge)
	}
	for name, l := range c.bound {
		s.serve(name, l)
		if old := replaced[name]; old != nil {
			_ = old.Close()
		}
		s.logger.Info("listener changed", "listener", name, "addr", s.listeners.addr(name))
	}
}
