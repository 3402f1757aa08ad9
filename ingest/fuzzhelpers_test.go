package ingest

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// sinkChecks makes sinks that check how they are used.
type sinkChecks struct {
	mu    sync.Mutex
	sinks []*sinkCheck
}

// NewSink implements remux.SinkFactory.
func (s *sinkChecks) NewSink(name remux.StreamName) remux.Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	sink := &sinkCheck{}
	s.sinks = append(s.sinks, sink)
	app, stream, _ := strings.Cut(string(name), "/")
	if _, err := remux.ParseStreamName(app, stream); err != nil {
		sink.fault("made for a name that is none")
	}
	return sink
}

func (s *sinkChecks) check(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sink := range s.sinks {
		sink.mu.Lock()
		if sink.begun {
			sink.fault("closed or left without End")
		}
		if !sink.closed {
			sink.fault("not closed with the hub")
		}
		for _, f := range sink.faults {
			t.Errorf("a sink was %s", f)
		}
		sink.mu.Unlock()
	}
}

// sinkCheck is a sink that holds its stream to the rules of remux.Sink.
type sinkCheck struct {
	mu     sync.Mutex
	begun  bool
	closed bool
	last   map[remux.Kind]int64
	faults []string
}

func (s *sinkCheck) fault(what string) {
	if len(s.faults) < 10 {
		s.faults = append(s.faults, what)
	}
}

func (s *sinkCheck) Begin(remux.Tracks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun || s.closed {
		s.fault("begun twice, or after Close")
	}
	s.begun, s.last = true, make(map[remux.Kind]int64)
}

func (s *sinkCheck) Write(p *remux.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.fault("written to outside of Begin and End")
	}
	if p.Kind != remux.VideoFrame && p.Kind != remux.AudioFrame {
		return
	}
	if last, ok := s.last[p.Kind]; ok && p.DTS <= last && !p.Discontinuity {
		s.fault("given a frame that is not after the one before")
	}
	s.last[p.Kind] = p.DTS
}

func (s *sinkCheck) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.fault("ended without Begin")
	}
	s.begun = false
}

func (s *sinkCheck) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.fault("closed twice")
	}
	s.closed = true
}

// inputConn is the server's end of a connection whose peer sends all at once, closes its
// direction, and reads everything. Nothing on it waits.
type inputConn struct {
	left   []byte // of the reading goroutine
	atEnd  func() // called once when all has been read
	closed chan struct{}
	once   sync.Once
}

func (c *inputConn) Read(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	if len(c.left) == 0 {
		if c.atEnd != nil {
			c.atEnd()
			c.atEnd = nil
		}
		return 0, io.EOF
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *inputConn) Write(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		return len(p), nil
	}
}

func (c *inputConn) Close() error {
	err := errors.New("closed twice")
	c.once.Do(func() {
		close(c.closed)
		err = nil
	})
	return err
}

func (c *inputConn) CloseWrite() error                { return nil }
func (c *inputConn) LocalAddr() net.Addr              { return inputAddr{} }
func (c *inputConn) RemoteAddr() net.Addr             { return inputAddr{} }
func (c *inputConn) SetDeadline(time.Time) error      { return nil }
func (c *inputConn) SetReadDeadline(time.Time) error  { return nil }
func (c *inputConn) SetWriteDeadline(time.Time) error { return nil }

// inputAddr is the address of what has none.
type inputAddr struct{}

func (inputAddr) Network() string { return "memory" }
func (inputAddr) String() string  { return "memory" }
