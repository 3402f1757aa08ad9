package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// certificate is that of a listener. It is read again when its files change, and others may take the place of these;
// connections that exist notice nothing.
type certificate struct {
	listener string // "https"
	current  atomic.Pointer[tls.Certificate]

	// mu guards all below.
	mu       sync.Mutex
	files    config.TLSListener
	watch    *fileWatch
	stop     context.CancelFunc // ends watching; nil before
	watching sync.WaitGroup
	noted    func(stale bool) // hears how reading again went
}

func loadCertificate(listener string, files config.TLSListener) (*certificate, error) {
	c := &certificate{listener: listener, files: files, watch: newFileWatch(files.Cert, files.Key), noted: func(bool) {}}
	return c, c.load()
}

func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("%s: load certificate: %w", c.listener, err)
	}
	c.current.Store(&pair)
	return nil
}

// reload reads the files again. If they do not fit together, the certificate stays as it is.
func (c *certificate) reload(logger *slog.Logger) {
	err := c.load()
	c.noted(err != nil)
	if err != nil {
		logger.Error("certificate was not read again, the old one stays", "error", err)
		return
	}
	logger.Info("certificate was read again", "listener", c.listener, "until", c.expires())
	c.warn(logger)
}

// follow reads the files again whenever they change, until ctx or unfollow ends that.
func (c *certificate) follow(ctx context.Context, logger *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, c.stop = context.WithCancel(ctx)
	watch := c.watch
	c.watching.Go(func() { watch.run(ctx, logger, func() { c.reload(logger) }) })
	c.watching.Go(func() { c.remind(ctx, logger) })
}

// unfollow returns when nothing is watched any more.
func (c *certificate) unfollow() {
	c.mu.Lock()
	stop := c.stop
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	c.watching.Wait()
}

// take shows the certificate of other files from now on, and follows these.
func (c *certificate) take(ctx context.Context, other *certificate, logger *slog.Logger) {
	c.unfollow()
	c.mu.Lock()
	c.files, c.watch = other.files, other.watch
	c.mu.Unlock()
	c.current.Store(other.current.Load())
	c.follow(ctx, logger)
}

// config is the TLS configuration of the listener.
func (c *certificate) config(protocols ...string) *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
	}
}
