package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge/accesslog"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
)

// accessLogEnd is how long the last lines of the access log may take: they go to a file, or nowhere.
const accessLogEnd = 2 * time.Second

// openAccessLog opens what http.access_log names; nil if that is nothing.
func (s *server) openAccessLog(cfg *config.Config) (*accesslog.Log, error) {
	if cfg.HTTP.AccessLog == "" {
		return nil, nil
	}
	format := accesslog.JSON
	if cfg.HTTP.AccessLogFormat == config.AccessLogCombined {
		format = accesslog.Combined
	}
	return accesslog.Open(cfg.HTTP.AccessLog, format, s.logger)
}

// startAccessLog opens the access log again on SIGHUP, as those who rotate logs expect. The function that it returns writes
// what is left.
func (s *server) startAccessLog() (stop func()) {
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

// played writes down what became of a player over RTMP, as if it had asked over HTTP.
func (s *server) played(b ingest.Playback) {
	if !s.accessLog.On() {
		return
	}
	e := accesslog.Entry{
		Time: b.Asked, Client: b.Remote, Method: "PLAY", RawQuery: b.Query, Proto: strings.ToUpper(b.Protocol),
		UserAgent: b.Player, Stream: string(b.Stream), Protocol: "rtmp", Status: http.StatusOK, Bytes: b.Sent,
		FirstByte: b.FirstByte, Duration: b.Duration,
	}
	switch b.Code {
	case "":
	case ingest.NotFound, ingest.BadName:
		e.Status = http.StatusNotFound
	case ingest.ReasonTooManyRequests:
		e.Status = http.StatusTooManyRequests
	default:
		e.Status = refusalStatus(auth.Code(b.Code))
	}
	if b.Code != "" && !s.hasStream(b.Stream) {
		e.Stream = b.Stream.Redacted() // it may be somebody's stream key
	}
	e.Path = "/" + e.Stream
	if _, err := remux.ParseStreamName(b.Stream.Split()); err != nil {
		e.Stream = "" // it was none
	}
	s.accessLog.Add(&e)
}

// accessLogStatus tells the metrics of the access log.
func (s *server) accessLogStatus() admin.AccessLogCounts {
	return admin.AccessLogCounts{Lines: s.accessLog.Lines(), Dropped: s.accessLog.Dropped()}
}
