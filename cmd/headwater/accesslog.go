package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge/accesslog"
)

// accessLogEnd is how long the last lines of the access log may take: they go to a file, or nowhere.
const accessLogEnd = 2 * time.Second

// openAccessLog opens what http.access_log names, if it names anything.
func (s *server) openAccessLog() error {
	if s.cfg().HTTP.AccessLog == "" {
		return nil
	}
	format := accesslog.JSON
	if s.cfg().HTTP.AccessLogFormat == config.AccessLogCombined {
		format = accesslog.Combined
	}
	var err error
	if s.accessLog, err = accesslog.Open(s.cfg().HTTP.AccessLog, format, s.logger); err != nil {
		return fmt.Errorf("http.access_log: %w", err)
	}
	return nil
}

// startAccessLog begins to write the access log, and opens it again on SIGHUP, as those who rotate logs expect. The
// function that it returns writes what is left.
func (s *server) startAccessLog() (stop func()) {
	if s.accessLog == nil {
		return func() {}
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ended := make(chan struct{})
	var reopening sync.WaitGroup
	reopening.Go(func() {
		for {
			select {
			case <-hangups:
				s.accessLog.Reopen()
			case <-ended:
				return
			}
		}
	})
	go s.accessLog.Run() // ends with Close
	return func() {
		signal.Stop(hangups)
		close(ended)
		reopening.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), accessLogEnd)
		defer cancel()
		if err := s.accessLog.Close(ctx); err != nil {
			s.logger.Warn("the last lines of the access log were not written", "err", err)
		}
	}
}

// accessLogStatus tells the metrics of the access log.
func (s *server) accessLogStatus() admin.AccessLogCounts {
	return admin.AccessLogCounts{Lines: s.accessLog.Lines(), Dropped: s.accessLog.Dropped()}
}
