package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest/rtmp"
)

// drainable runs a server that the test ends by itself, with a publisher of live/test.
func drainable(t *testing.T, timeout time.Duration) (s *server, publisher *rtmp.Client, stop func(), ended <-chan error) {
	t.Helper()
	cfg := config.Default()
	cfg.RTMP.Addr, cfg.HTTP.Addr, cfg.Admin.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Storage.Kind, cfg.Drain.Timeout = config.StorageMemory, timeout
	s, err := wire(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	if publisher, err = dialPublisher(t, s, "live/test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = publisher.Close()
		cancel()
	})
	return s, publisher, cancel, done
}

func dialPublisher(t *testing.T, s *server, name string) (*rtmp.Client, error) {
	t.Helper()
	c, err := rtmp.Dial(t.Context(), "rtmp://"+s.listeners.addr("rtmp")+"/"+name, rtmp.ClientConfig{})
	if err != nil {
		return nil, err
	}
	if err := c.Publish(t.Context()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func awaitEnd(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the server has not ended")
	}
}

func TestADrainingServerLetsPublishersFinishAndTakesNoOthers(t *testing.T) {
	s, publisher, stop, ended := drainable(t, 10*time.Minute)
	stop()
	eventually(t, "it is not ready", func() bool {
		code, body := status(t, s.adminURL("/readyz"))
		return code == 503 && strings.Contains(body, "stopping")
	})
	eventually(t, "others are told to go elsewhere", func() bool {
		other, err := dialPublisher(t, s, "live/other")
		if err == nil {
			_ = other.Close()
			return false
		}
		return strings.Contains(err.Error(), "the server is stopping: connect again, and to another server")
	})
	if n := s.refusals()["stopping"]; n == 0 {
		t.Error("they were not counted")
	}
	if code, _ := status(t, s.edgeURL("/live/none.m3u8")); code != 404 {
		t.Errorf("HTTP is answered with %d", code)
	}
	if err := publisher.WriteMedia(rtmp.TypeAudio, 0, []byte{0xaf, 0, 0x12, 0x10}); err != nil {
		t.Error(err)
	}
	eventually(t, "who publishes is heard", func() bool {
		stream := s.hub.Stream("live/test")
		return stream != nil && stream.Live() && stream.Info().Publication.Counters.Messages > 0
	})
	select {
	case err := <-ended:
		t.Fatalf("it has ended though somebody publishes: %v", err)
	default:
	}
	if err := publisher.Close(); err != nil {
		t.Error(err)
	}
	awaitEnd(t, ended)
}

func TestAPublisherThatDoesNotFinishIsEndedAfterTheDrainTimeout(t *testing.T) {
	s, publisher, stop, ended := drainable(t, 100*time.Millisecond)
	stop()
	awaitEnd(t, ended)
	if s.hub.Totals().Live != 0 {
		t.Error("it publishes still")
	}
	eventually(t, "the publisher notices", func() bool {
		return publisher.WriteMedia(rtmp.TypeAudio, 0, []byte{0xaf, 0, 0x12, 0x10}) != nil
	})
}
