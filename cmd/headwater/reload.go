package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// reloader reads the configuration again on SIGHUP, and when its file or that of the admin token changes. What it finds is put in force as a whole,
// or refused as a whole, and both are said: in the log, by the API and by a metric.
type reloader struct {
	sources config.Sources
	server  *server // set before run
	hangups <-chan os.Signal
	watch   *fileWatch
	logs    *logControl
	logger  *slog.Logger
	token   *fileWatch // of the private listener's token; nil before it is followed
	used    bool       // there was a file when the configuration that is in force was read

	// mu guards status.
	mu     sync.Mutex
	status admin.ConfigurationStatus
}

// newReloader is called before the configuration is read for the first time, so that no change is missed.
func newReloader(sources config.Sources, hangups <-chan os.Signal) *reloader {
	return &reloader{
		sources: sources, hangups: hangups, watch: newFileWatch(sources.Path()), used: sources.UsedFile() != "",
		status: admin.ConfigurationStatus{OK: true, Read: time.Now()},
	}
}

// watchToken is called with a configuration before its token is read, so that no change is missed.
func (r *reloader) watchToken(cfg *config.Config) {
	var files []string
	if cfg.Admin.TokenFile != "" {
		files = append(files, cfg.Admin.TokenFile)
	}
	if r.token == nil || !slices.Equal(r.token.files, files) {
		r.token = newFileWatch(files...)
	}
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	changed := make(chan struct{}, 1)
	notice := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { r.watch.run(ctx, r.logger, notice) })
	followToken := func() (stop func()) {
		watch := r.token
		ctx, cancel := context.WithCancel(ctx)
		watching.Go(func() { watch.run(ctx, r.logger, notice) })
		return cancel
	}
	r.watchToken(r.server.cfg())
	stop := followToken()
	for {
		select {
		case <-ctx.Done():
			stop()
			return
		case <-r.hangups:
			r.reload(true)
		case <-changed:
			r.reload(false)
		}
		before := r.token
		if r.watchToken(r.server.cfg()); r.token != before {
			stop()
			stop = followToken()
			notice() // it may have changed since it was read
		}
	}
}

// reload reads the configuration. asked: somebody wants it now, and means what is there.
func (r *reloader) reload(asked bool) {
	next, err := r.read(asked)
	var changes []config.Change
	if err == nil {
		// Said at the more talkative of the two levels, or it might not be said.
		was := r.server.cfg().Log
		r.logs.set(config.Log{Level: min(was.Level, next.Log.Level), Format: was.Format})
		changes, err = r.server.change(next)
	}
	if err != nil {
		r.refused(err)
	} else {
		r.taken(changes)
	}
	r.logs.set(r.server.cfg().Log)
}

// read reads the configuration, unless what is there cannot be meant.
func (r *reloader) read(asked bool) (config.Config, error) {
	file := r.sources.Path()
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && r.used:
		return config.Config{}, config.Faults{{Origin: file, Err: errors.New("the file is gone")}}
	case err == nil && info.Size() == 0 && r.used && !asked:
		return config.Config{}, config.Faults{{Origin: file, Err: errors.New("the file is empty, as one is that is being written; SIGHUP takes it as it is")}}
	}
	next, loadErr := config.Load(r.sources)
	r.used = r.used || loadErr == nil && err == nil
	return next, loadErr
}

func (r *reloader) refused(err error) {
	texts := []string{err.Error()}
	var faults config.Faults
	if errors.As(err, &faults) {
		texts = texts[:0]
		for _, f := range faults {
			texts = append(texts, f.Error())
		}
	}
	for _, text := range texts {
		r.logger.Error("configuration was not reloaded", "err", text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.OK, r.status.Read, r.status.Faults = false, time.Now(), texts
	r.status.Refused++
}

func (r *reloader) taken(changes []config.Change) {
	if len(changes) == 0 {
		r.logger.Info("configuration was read again, nothing changed")
	}
	var pending []string
	for _, c := range changes {
		if c.Pending() {
			pending = append(pending, c.Key)
			r.logger.Warn("setting changes at the next start only", "key", c.Key, "from", c.From, "to", c.To)
			continue
		}
		r.logger.Info("setting changed", "key", c.Key, "from", c.From, "to", c.To, "for", c.For.String())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.OK, r.status.Read, r.status.Faults, r.status.Pending = true, time.Now(), nil, pending
	r.status.Reloads++
}

// Status returns how the newest reload went.
func (r *reloader) Status() admin.ConfigurationStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}
