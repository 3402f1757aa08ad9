package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// Protocol is how viewers watch.
type Protocol string

// The protocols.
const (
	HTTPFLV      Protocol = "HTTP-FLV"
	WebSocketFLV Protocol = "WebSocket-FLV"
	RTMPPlay     Protocol = "RTMP"
	HTTPTS       Protocol = "HTTP-TS"
	HLS          Protocol = "HLS"
)

// group is all viewers of one protocol.
type group struct {
	protocol Protocol
	meter    meter
	drains   *drains
	network  *network
	joining  chan struct{} // one element for each viewer that is connecting
	viewers  []*viewer
	settled  atomic.Int64 // viewers that have joined or failed once
}

// viewer watches one stream, again and again until the run ends.
type viewer struct {
	group *group
	url   string
	id    int  // among the viewers of all groups
	looks bool // frames are looked into; else bytes are counted

	received atomic.Int64 // bytes, from the beginning
	track    tracker
	settled  bool
	joined   bool
}

const (
	// firstRetry and lastRetry are how long a viewer waits before it tries again, at first and at most.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 5 * time.Second
	// joinTimeout is how long a server may take to begin to send. Headwater lets a viewer wait ten seconds for
	// a publisher.
	joinTimeout = 15 * time.Second
)

// run watches until ctx ends. Whatever happens is counted.
func (v *viewer) run(ctx context.Context) {
	retry := firstRetry
	for first := true; ; first = false {
		if !first {
			v.group.meter.reconnects.Add(1)
		}
		began := time.Now()
		err := v.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		v.group.meter.errors.add(kindOf(err))
		v.settle()
		if time.Since(began) > 2*lastRetry {
			retry = firstRetry
		}
		if sleep(ctx, retry) != nil {
			return
		}
		retry = min(2*retry, lastRetry)
	}
}

func (v *viewer) watch(ctx context.Context) error {
	switch v.group.protocol {
	case HLS:
		return v.watchHLS(ctx)
	case RTMPPlay:
		return v.watchRTMP(ctx)
	}
	f, err := v.joinHTTP(ctx)
	if err != nil {
		return err
	}
	v.enter()
	defer v.leave()
	return v.group.drains.drain(ctx, f)
}

// slot waits until a viewer may connect: only so many may at a time, or a server is asked for everything at
// once. The context ends when connecting has taken too long.
func (v *viewer) slot(ctx context.Context) (context.Context, func(), error) {
	select {
	case v.group.joining <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	v.track.since = time.Now()
	return ctx, func() {
		cancel()
		<-v.group.joining
	}, nil
}

func (v *viewer) settle() {
	if !v.settled {
		v.settled = true
		v.group.settled.Add(1)
	}
}

func (v *viewer) enter() {
	v.group.meter.connected.Add(1)
	if !v.joined {
		v.joined = true
		v.group.meter.joined.Add(1)
	}
	v.settle()
}

func (v *viewer) leave() { v.group.meter.connected.Add(-1) }

// flow makes a flow of this viewer.
func (v *viewer) flow(conn net.Conn) *flow {
	now := time.Now()
	return &flow{conn: conn, meter: &v.group.meter, total: &v.received, last: now, ackedAt: now}
}

// statusError is an answer that is not what was asked for.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// refusedError is an RTMP server's no.
type refusedError struct{ err error }

func (e refusedError) Error() string { return e.err.Error() }
func (e refusedError) Unwrap() error { return e.err }

// kindOf sorts an error into one of few kinds.
func kindOf(err error) string {
	var status statusError
	var malformed malformedError
	var refused refusedError
	var wire *rtmp.Error
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, errEnded):
		return "ended by the server"
	case errors.As(err, &status):
		return status.Error()
	case errors.As(err, &malformed):
		return malformed.Error()
	case errors.As(err, &refused):
		return "refused by the server"
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "timed out"
	case errors.As(err, &op) && op.Op == "dial":
		return "could not connect" + reasonOf(err)
	case errors.As(err, &wire):
		return "RTMP: " + wire.Reason
	case isReset(err):
		return "reset by the server"
	}
	return "broken off"
}

// reasonOf says what the system said, if it did.
func reasonOf(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return ": " + errno.Error()
	}
	return ""
}
