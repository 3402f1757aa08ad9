package rtmp

import (
	"slices"
	"time"
)

// watchdog ends connections on which nothing happens. It lives on the read
// deadline, which is not set per read but fires regularly, also on a busy
// connection: at each tick the counters tell whether anything came since the
// one before. So watching costs a timer every few seconds and no clock reading
// per message.
type watchdog struct {
	idle  time.Duration // a peer silent for so long is gone
	media time.Duration // a publication without media for so long is over; 0: never
	pings bool          // a silent peer is pinged

	publications []*mediaWatch     // that media is expected of
	silent       func(*mediaWatch) // told of one of which none came, while others go on

	until    time.Time // the end of the phase the connection is in, if not zero,
	untilErr error     // and the error when that has come
	lastRead bool      // it has nearly come, and what was sent before is being read

	ticking    bool      // there is no such phase any more, and the next tick is
	next       time.Time // at this time
	ticked     time.Time
	bytes      uint64 // at the tick before
	stepped    uint64 // and what a player had taken
	bytesSince time.Time
	pinged     bool
}

// mediaWatch is the watch over one publication.
type mediaWatch struct {
	count   uint64 // media messages so far,
	counted uint64 // and at the tick before
	since   time.Time
}

// lastReadTime is how long at least is read, at the end of a phase, what came before it.
const lastReadTime = 20 * time.Millisecond

const (
	// ticks is how many ticks there are in a timeout: how exact it is.
	ticks = 6
	// playTicks is the same where nothing is published, and the least there can be: one to ping, one to
	// hear the answer. There may be thousands of players.
	playTicks = 3
)

func (w *watchdog) interval() time.Duration {
	shortest := w.idle
	if w.media > 0 {
		shortest = min(shortest, w.media)
	}
	n := time.Duration(ticks)
	if len(w.publications) == 0 && w.pings {
		n = playTicks
	}
	return max(shortest/n, time.Millisecond)
}

// begin starts the watch, or begins another phase of it: one that has to be over
// at until, or, with an until of zero, one that ends when nothing happens. To begin that again does not put the next
// tick off, or who did it all the time would not be watched.
func (t *transport) begin(until time.Time, untilErr error) error {
	now := time.Now()
	w := &t.watch
	if until.IsZero() && w.ticking && !now.Add(w.interval()).Before(w.next) {
		return nil
	}
	w.ticking = until.IsZero()
	w.until, w.untilErr = until, untilErr
	w.bytesSince = now
	w.pinged, w.lastRead = false, false
	return t.arm(now)
}

// arm sets the read deadline to the end of the phase or to the next tick.
func (t *transport) arm(now time.Time) error {
	w := &t.watch
	w.ticked = now
	if !w.until.IsZero() {
		return t.nc.SetReadDeadline(w.until.Add(-lastReadTime))
	}
	w.next = now.Add(w.interval())
	return t.nc.SetReadDeadline(w.next)
}

// tick is called when the read deadline has passed.
func (t *transport) tick(now time.Time) error {
	w := &t.watch
	if !w.until.IsZero() {
		if w.lastRead {
			return w.untilErr
		}
		// A deadline that has passed hides what came before it: where this side was the
		// slow one, the peer may have done its part in time.
		w.lastRead = true
		last := now.Add(lastReadTime)
		if last.Before(w.until) {
			last = w.until
		}
		return t.nc.SetReadDeadline(last)
	}
	// When this side did not read for a while, silence proves nothing.
	late := now.Sub(w.ticked) > 2*w.interval()
	// A player that takes what it is sent need not say anything: the system finds out whether it still
	// does (bytelog.StallTimeout), where writing in steps works.
	if in, out := t.stats.bytesIn.Load(), t.stepped.Load(); in != w.bytes || out != w.stepped || late {
		w.bytes, w.stepped, w.bytesSince, w.pinged = in, out, now, false
	}
	silent := w.withoutMedia(now, late)
	quiet := now.Sub(w.bytesSince)
	switch {
	case quiet >= w.idle-w.interval():
		return fault(ReasonPeerGone, "read", "nothing came, not even the answer to a ping")
	case len(silent) > 0 && len(silent) == len(w.publications):
		return errNoMedia
	case quiet >= w.idle/3 && w.pings && !w.pinged:
		w.pinged = true
		t.send(appendEvent(nil, eventPingRequest, uint32(now.UnixMilli())))
	}
	for _, p := range silent {
		w.silent(p)
	}
	return t.arm(now)
}

var errNoMedia = fault(ReasonMediaTimeout, "read", "the publication has sent no media")

// withoutMedia returns the publications of which none came for too long.
func (w *watchdog) withoutMedia(now time.Time, late bool) (silent []*mediaWatch) {
	for _, p := range w.publications {
		switch {
		case p.count != p.counted || late:
			p.counted, p.since = p.count, now
		case w.media > 0 && now.Sub(p.since) >= w.media:
			silent = append(silent, p)
		}
	}
	return silent
}

// expect begins to watch over a publication, expectNoMore ends that.
func (w *watchdog) expect(p *mediaWatch) {
	*p = mediaWatch{since: time.Now()}
	w.publications = append(w.publications, p)
}

func (w *watchdog) expectNoMore(p *mediaWatch) {
	w.publications = slices.DeleteFunc(w.publications, func(o *mediaWatch) bool { return o == p })
}
