package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// reloader reads the configuration again when it is asked to. What it finds either holds as a whole or
// changes nothing. Only its own goroutine uses it.
type reloader struct {
	load    func() (config.Config, error)
	running config.Config // what the server runs with
	level   *slog.LevelVar
	logger  *slog.Logger
}

// run reloads at every hangup until ctx ends.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			r.reload()
		}
	}
}

func (r *reloader) reload() {
	next, err := r.load()
	if err != nil {
		var faults config.Faults
		if !errors.As(err, &faults) {
			r.logger.Error("configuration was not reloaded", "err", err)
			return
		}
		for _, f := range faults {
			r.logger.Error("configuration was not reloaded", "err", f)
		}
		return
	}
	changes := config.Changes(r.running, next)
	if len(changes) == 0 {
		r.logger.Info("configuration was read again, nothing changed")
	}
	for _, c := range changes {
		if c.Key == "log.level" {
			// Said at the more talkative of the two levels, or it would not be said.
			r.level.Set(min(r.running.Log.Level, next.Log.Level))
			r.logger.Info("setting changed", "key", c.Key, "from", c.From, "to", c.To)
			r.level.Set(next.Log.Level)
			r.running.Log.Level = next.Log.Level
			continue
		}
		r.logger.Warn("setting changes at the next start only", "key", c.Key, "from", c.From, "to", c.To)
	}
}
