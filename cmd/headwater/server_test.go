package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/remux"
)

// sampleFLV was made by ffmpeg: 25 fps, an IDR every second, AAC; 3 s.
const sampleFLV = "../../remux/mpegts/testdata/h264-aac.flv"

// runServer runs a whole server on ports of the kernel's choice until the test ends.
func runServer(t *testing.T, change func(*config.Config)) *server {
	t.Helper()
	return runServerThat(t, change, nil)
}

// runServerThat is runServer with a look at the server before it runs.
func runServerThat(t *testing.T, change func(*config.Config), prepare func(*server)) *server {
	t.Helper()
	cfg := config.Default()
	cfg.RTMP.Addr, cfg.HTTP.Addr, cfg.Admin.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Storage.Dir = t.TempDir()
	cfg.HLS.Segment = time.Second
	cfg.Drain.Timeout = 0 // tests leave publications behind
	if change != nil {
		change(&cfg)
	}
	s, err := wire(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s)
	}
	runUntilEnd(t, s)
	return s
}

// runUntilEnd runs a server until the test ends.
func runUntilEnd(t *testing.T, s *server) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func (s *server) adminURL(path string) string { return "http://" + s.listeners.addr("admin") + path }
func (s *server) edgeURL(path string) string  { return "http://" + s.listeners.addr("http") + path }

// testLogger logs to a test.
func testLogger(t *testing.T) *slog.Logger {
	logger, _ := newLogger(t.Output(), config.Default().Log)
	return logger
}

// publishSample writes the sample's messages, n times over, as fast as they are taken. It returns the
// publication and the timestamp that follows.
func publishSample(t *testing.T, s *server, name remux.StreamName, n int) (*remux.Publication, uint32) {
	t.Helper()
	p, err := s.hub.Publish(name, remux.Publisher{Protocol: "rtmp", Encoder: "test encoder", Credential: "the secret of the publisher"})
	if err != nil {
		t.Fatal(err)
	}
	return p, writeSample(t, p, n, 0)
}

// sampleLength is longer than the sample, in ms.
const sampleLength = 3_000

func writeSample(t *testing.T, p *remux.Publication, n int, from uint32) uint32 {
	t.Helper()
	for range n {
		file, err := os.Open(sampleFLV)
		if err != nil {
			t.Fatal(err)
		}
		f, err := newFLVFile(bufio.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		for {
			tag, err := f.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			m := remux.Message{Type: tag.kind, Timestamp: from + tag.timestamp, Payload: append([]byte(nil), tag.body...)}
			if err := p.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		_ = file.Close()
		from += sampleLength
	}
	return from
}

// patience bounds what a test waits for. It is much longer than anything takes.
const patience = 30 * time.Second

// eventually waits until something holds that nothing tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// eventClient follows /api/v1/events.
type eventClient struct {
	t     *testing.T
	body  io.Closer
	lines *bufio.Scanner
}

// follow opens an event stream behind an event, "" for the beginning.
func follow(t *testing.T, url, after string) *eventClient {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(ct, "text/event-stream") {
		t.Fatalf("%s: %d, %s", url, resp.StatusCode, ct)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &eventClient{t: t, body: resp.Body, lines: bufio.NewScanner(resp.Body)}
}

// rawEvent is an event as a client reads it.
type rawEvent struct {
	ID, Type, Stream string
	Generation       uint64
	Data             map[string]any
}

// next reads an event; false at the stream's end.
func (c *eventClient) next() (rawEvent, bool) {
	c.t.Helper()
	var e rawEvent
	var id, name string
	for c.lines.Scan() {
		field, value, _ := strings.Cut(c.lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				c.t.Fatalf("%v: %s", err, value)
			}
			if e.ID != id || e.Type != name {
				c.t.Errorf("fields %q and %q of %+v", id, name, e)
			}
			return e, true
		}
	}
	return e, false
}

// until reads events until one is of a type.
func (c *eventClient) until(want events.Type) rawEvent {
	c.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = c.body.Close() })
	defer timer.Stop()
	for {
		e, ok := c.next()
		if !ok {
			c.t.Fatalf("the event stream ended without %s", want)
		}
		if e.Type == string(want) {
			return e
		}
	}
}
