package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

const (
	// Between attempts to reach a server that went away: half a second at first, twice as much each time, up
	// to half a minute. A random half of it keeps many publishers from coming back at the same moment.
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second

	// steadyAfter is how long a connection lasts that ends the doubling.
	steadyAfter = 10 * time.Second
)

// mediaConn is an accepted publication, seen from its publisher.
type mediaConn interface {
	// WriteMedia sends a message: an FLV tag's body, at milliseconds modulo 2^32. It does not keep the payload.
	WriteMedia(kind uint8, timestamp uint32, payload []byte) error
	// Close ends the publication and the connection. It may be called at any time, more than once.
	Close() error
}

// refusedError is a server's no, as opposed to a server that cannot be reached or goes away.
type refusedError struct{ err error }

func (e refusedError) Error() string { return e.err.Error() }
func (e refusedError) Unwrap() error { return e.err }

// fileError is a fault of the file. Trying again does not help.
type fileError struct{ err error }

func (e fileError) Error() string { return e.err.Error() }
func (e fileError) Unwrap() error { return e.err }

// publisher pushes a file in real time.
type publisher struct {
	path    string
	loop    bool // play the file again and again, and outlive the server
	connect func(context.Context) (mediaConn, error)
	note    func(string) // tells what happens meanwhile
	clock   *fileClock
	sent    *progress
}

// run publishes until the end of the file, or for ever if it loops, or until ctx ends, which is no error.
func (p *publisher) run(ctx context.Context) error {
	if err := p.checkFile(); err != nil {
		return err
	}
	accepted := false
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		began := time.Now()
		reached, err := p.connection(ctx)
		accepted = accepted || reached
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case !p.loop, isA[fileError](err), isA[refusedError](err) && !accepted:
			return err
		}
		if reached && time.Since(began) >= steadyAfter {
			backoff = firstBackoff
		}
		pause := backoff/2 + rand.N(backoff/2)
		p.note(fmt.Sprintf("%v; trying again in %s", err, pause.Round(100*time.Millisecond)))
		if err := sleep(ctx, pause); err != nil {
			return nil
		}
	}
}

// checkFile finds out early that there is nothing to publish.
func (p *publisher) checkFile() error {
	file, err := os.Open(p.path)
	if err != nil {
		return fileError{err}
	}
	defer file.Close() //nolint:errcheck // only read
	if _, err := newFLVFile(file); err != nil {
		return fileError{fmt.Errorf("%s: %w", p.path, err)}
	}
	return nil
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// connection publishes over one connection, and says whether the server accepted it.
func (p *publisher) connection(ctx context.Context) (accepted bool, err error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return false, err
	}
	// A write to a server that does not read ends with ctx as well.
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = conn.Close()
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
		_ = conn.Close() // the publication is over, whatever becomes of the goodbye
	}()
	var pace pacer
	for {
		frames, err := p.round(ctx, conn, &pace)
		if err != nil || !p.loop {
			return true, err
		}
		if frames == 0 {
			return true, fileError{fmt.Errorf("%s has neither audio nor video", p.path)}
		}
		p.sent.rounds++
	}
}

// round sends the file once and counts its frames.
func (p *publisher) round(ctx context.Context, conn mediaConn, pace *pacer) (frames int, err error) {
	file, err := os.Open(p.path)
	if err != nil {
		return 0, fileError{err}
	}
	defer file.Close() //nolint:errcheck // only read
	tags, err := newFLVFile(file)
	if err != nil {
		return 0, fileError{fmt.Errorf("%s: %w", p.path, err)}
	}
	p.clock.rewind()
	for {
		tag, err := tags.next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, fileError{fmt.Errorf("%s: %w", p.path, err)}
		}
		if p.loop && packetOf(tag) == flvtag.EndOfSequence {
			continue // the sequence goes on with the next round
		}
		at := p.clock.at(tag)
		if err := pace.wait(ctx, at); err != nil {
			return frames, err
		}
		if err := conn.WriteMedia(uint8(tag.kind), uint32(at), tag.body); err != nil {
			return frames, err
		}
		if isFrame(tag) {
			frames++
		}
		p.sent.add(at, len(tag.body))
	}
}
