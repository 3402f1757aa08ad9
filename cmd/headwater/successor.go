package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// successor is what becomes of the process that was handed over to. Its parent is this one, as long as it stays: that
// alone learns how it has ended, and has to tell who restarts servers.
type successor struct {
	ctx     context.Context // ends when that process has failed, unless it has handed over; and with leave
	end     context.CancelCauseFunc
	next    *systemd.Next
	retired atomic.Int32  // how often it, or one after it, has handed over
	gone    chan struct{} // closed when nothing comes from it any more
	watched chan struct{} // closed when nobody watches it any more
}

// exitPatience is how long a process may take to end that has closed its connections: to know how it has.
const exitPatience = time.Second

// errFailed says that the process that served has failed.
var errFailed = errors.New("the process that had taken over has failed")

// watch follows it, and ends relays, which may be nil, when there is a reason. It tells the process before this one that
// there is another one.
func (c *successor) watch(next *systemd.Next, before *systemd.Before, relays *relays) {
	c.next = next
	c.ctx, c.end = context.WithCancelCause(context.Background())
	c.gone, c.watched = make(chan struct{}), make(chan struct{})
	before.Retired()
	go func() {
		defer close(c.watched)
		err := next.AwaitRetired()
		for ; err == nil; err = next.AwaitRetired() {
			before.Retired()
			if c.retired.Add(1) >= maxOlder && relays != nil {
				relays.cancel(errTooOld)
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			return // it is left, or of a version that does not say whether it has handed over
		}
		close(c.gone)
		select {
		case <-next.Exited():
		case <-c.ctx.Done():
			return
		}
		if err := next.Failure(); err != nil && c.retired.Load() == 0 {
			err = fmt.Errorf("%w: %w", errFailed, err)
			c.end(err)
			if relays != nil {
				relays.cancel(err)
			}
		}
	}()
}

// leave ends watching, and returns why that process has failed, if it has.
func (c *successor) leave() error {
	select {
	case <-c.gone:
		select {
		case <-c.watched:
		case <-time.After(exitPatience):
		}
	default:
	}
	c.end(nil)
	c.next.Leave()
	<-c.watched
	if err := context.Cause(c.ctx); errors.Is(err, errFailed) {
		return err
	}
	return nil
}

// outcome is nil if another process serves, or has ended as it should. If it has not, whoever started this one is to start
// the server again: that is told, too, whose end counts.
func (u *upgrader) outcome(s *server) error {
	if u.failed != nil || u.next == nil {
		return u.failed
	}
	err := u.successor.leave()
	if err == nil || s.asked.Err() != nil {
		return nil
	}
	s.notify(systemd.MainPID(os.Getpid()))
	return err
}
