package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// certificates are those of the listeners, by name. They outlast a listener that is switched off.
type certificates struct {
	mu     sync.Mutex
	byName map[string]*certificate
}

// get returns the certificate of a listener, nil if it never had one.
func (cs *certificates) get(name string) *certificate {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.byName[name]
}

func (cs *certificates) set(name string, c *certificate) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byName == nil {
		cs.byName = make(map[string]*certificate)
	}
	cs.byName[name] = c
}

func (cs *certificates) all() map[string]*certificate {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return maps.Clone(cs.byName)
}

// shownCertificates are those of the listeners that are on.
func (s *server) shownCertificates() map[string]*certificate {
	all := s.certificates.all()
	maps.DeleteFunc(all, func(name string, _ *certificate) bool { return s.listeners.get(name) == nil })
	return all
}

// certificateExpiries are the ends of the certificates that are shown, by listener.
func (s *server) certificateExpiries() map[string]time.Time {
	all := map[string]time.Time{}
	for name, c := range s.shownCertificates() {
		all[name] = c.expires()
	}
	return all
}

// expiredReason says which certificates have expired, "" if none has.
func (s *server) expiredReason() string {
	var names []string
	for name, c := range s.shownCertificates() {
		if c.expired() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "certificates have expired: " + strings.Join(names, ", ")
}

const (
	// soon is how long before its end a certificate should have been replaced: the usual ones of 90 days are when a third of
	// that is left. One with a shorter life is late when a fifth of it is left.
	soon      = 14 * 24 * time.Hour
	soonShare = 5
	// remindEvery is often enough to be seen, and not so often that the log is full of it.
	remindEvery = 12 * time.Hour
)

// expires is when the certificate that is shown ends.
func (c *certificate) expires() time.Time { return c.current.Load().Leaf.NotAfter }

// expired reports whether it has: nobody who looks at it connects any more.
func (c *certificate) expired() bool { return time.Now().After(c.expires()) }

// remind says again and again that the certificate has to be replaced, until ctx ends.
func (c *certificate) remind(ctx context.Context, logger *slog.Logger) {
	ticker := time.NewTicker(remindEvery)
	defer ticker.Stop()
	for {
		c.warn(logger)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// warn says if the certificate has to be replaced.
func (c *certificate) warn(logger *slog.Logger) {
	leaf := c.current.Load().Leaf
	switch left := time.Until(leaf.NotAfter); {
	case left <= 0:
		logger.Error("the certificate has expired: nobody who checks it can connect", "listener", c.listener, "until", leaf.NotAfter)
	case left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/soonShare):
		logger.Warn("the certificate expires soon, and was not replaced yet", "listener", c.listener, "until", leaf.NotAfter)
	}
}
