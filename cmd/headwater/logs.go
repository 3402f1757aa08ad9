package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// logControl changes level and shape of a log while it is written.
type logControl struct {
	level slog.LevelVar
	json  atomic.Bool
}

// newLogger makes the log of the server.
func newLogger(w io.Writer, c config.Log) (*slog.Logger, *logControl) {
	control := &logControl{}
	control.set(c)
	w = &lockedWriter{w: w}
	o := &slog.HandlerOptions{Level: &control.level}
	return slog.New(&logHandler{control, slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o)}), control
}

func (c *logControl) set(to config.Log) {
	c.level.Set(to.Level)
	c.json.Store(to.Format == config.LogJSON)
}

// lockedWriter lets two handlers write to the same place.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// logHandler writes each record in the shape that is in force.
type logHandler struct {
	control    *logControl
	text, json slog.Handler
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.control.level.Level()
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.control.json.Load() {
		return h.json.Handle(ctx, r)
	}
	return h.text.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.control, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.control, h.text.WithGroup(name), h.json.WithGroup(name)}
}
