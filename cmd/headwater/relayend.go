package main

import (
	"context"
	"errors"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// relayLook is how often a process looks whether somebody still watches.
const relayLook = 200 * time.Millisecond

// maxOlder is how many processes that have handed over may stay for their viewers, beside the one that serves. A frame
// goes through all of them, and each costs memory; where a version comes every few minutes, there would be no end of them.
const maxOlder = 3

// Why relays end, other than that nobody watches.
var (
	errAsked   = errors.New("the process is to end")
	errTime    = errors.New("the time for viewers is over")
	errTooOld  = errors.New("too many newer processes have taken over")
	errDenials = errors.New("it cannot be known whom the next process denies")
)

// wait returns when nobody watches any more, when time is up, when the process is asked to end, or there is another
// reason to; not before it is known who serves the others.
func (r *relays) wait(asked context.Context, timeout time.Duration) {
	<-r.settled
	r.mu.Lock()
	serves, next := r.serves, r.next
	r.mu.Unlock()
	if !serves {
		return
	}
	defer context.AfterFunc(asked, func() { r.cancel(errAsked) })()
	over := time.AfterFunc(timeout, func() { r.cancel(errTime) })
	defer over.Stop()
	defer context.AfterFunc(r.ctx, next.Silence)() // it may be waited for
	r.begins.Wait()
	if !r.poll(systemd.RelayOther) {
		return
	}
	log := r.server.logger
	log.Info("viewers stay with this process", "streams", len(r.server.hub.Watched()), "timeout", timeout)
	look := time.NewTicker(relayLook)
	defer look.Stop()
	for r.ctx.Err() == nil {
		select {
		case <-r.ctx.Done():
		case <-look.C:
			if !r.poll(systemd.RelayOther) {
				return
			}
		}
	}
	if cause := context.Cause(r.ctx); !errors.Is(cause, errAsked) {
		log.Warn("viewers have to connect again", "streams", len(r.server.hub.Watched()), "reason", cause)
	}
}

// end lets go of everything, and returns when nothing runs any more.
func (r *relays) end() {
	r.cancel(nil)
	r.mu.Lock()
	r.over = true
	for _, x := range r.byName {
		r.forgetLocked(x)
	}
	next := r.next
	r.mu.Unlock()
	if next != nil {
		next.Silence()
	}
	r.running.Wait()
}
