package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// certificate is that of a listener. It is read again when its files change; connections that exist notice nothing.
type certificate struct {
	key     string // the listener's, "https"
	files   config.TLSListener
	watch   *fileWatch
	current atomic.Pointer[tls.Certificate]
}

func loadCertificate(key string, files config.TLSListener) (*certificate, error) {
	c := &certificate{key: key, files: files, watch: newFileWatch(files.Cert, files.Key)}
	return c, c.load()
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("%s: load certificate: %w", c.key, err)
	}
	c.current.Store(&pair)
	return nil
}

// reload reads the files again. If they do not fit together, the certificate stays as it is, and it returns false.
func (c *certificate) reload(logger *slog.Logger) bool {
	if err := c.load(); err != nil {
		logger.Error("certificate was not read again, the old one stays", "error", err)
		return false
	}
	logger.Info("certificate was read again", "listener", c.key, "until", c.current.Load().Leaf.NotAfter)
	return true
}

// config is the TLS configuration of the listener.
func (c *certificate) config(protocols ...string) *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
	}
}
