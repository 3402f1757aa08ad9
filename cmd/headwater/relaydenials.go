package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// Who is put on the denylist may watch in a process that has handed over. So that asks the next one for its denylist, and
// for what comes on it. Each entry is a line of JSON.
const denialsPath = "/.denials"

const (
	// maxDenial bounds a line, in bytes.
	maxDenial = 64 << 10
	// maxDenials is how many entries may wait for the process before. It reads at once; one that does not is let go, and
	// asks for the whole list again.
	maxDenials = 1_000
	// denialTries is how often in a row the next process may not answer, and denialPause how long to wait in between.
	denialTries = 10
	denialPause = 200 * time.Millisecond
)

// followDenials sends viewers away who are on the denylist of the next process, as long as there is one. If that cannot be
// had of it, all have to leave.
func (r *relays) followDenials(next nextProcess) {
	for tries := 0; ; {
		followed, err := r.denialsOf(next)
		r.mu.Lock()
		current, serves := r.next == next && !r.over, r.serves
		r.mu.Unlock()
		if tries++; followed {
			tries = 0
		}
		switch {
		case !current:
			return
		case err != nil, serves && tries >= denialTries:
			r.server.logger.Error("viewers whom the next process denies cannot be sent away alone", "err", err)
			r.cancel(errDenials)
			return
		case tries >= denialTries:
			return // it has gone before it served: another one is asked
		}
		select {
		case <-time.After(denialPause):
		case <-r.ctx.Done():
			return
		}
	}
}

// denialsOf reads the denylist until the next process sends no more. It reports whether that has begun to; the error is
// that of an entry.
func (r *relays) denialsOf(next nextProcess) (followed bool, err error) {
	conn, err := next.Dial(systemd.RelayOther)
	if err != nil {
		return false, nil
	}
	defer conn.Close() //nolint:errcheck // it is only read
	defer context.AfterFunc(r.ctx, func() { _ = conn.Close() })()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", denialsPath, relayHost); err != nil {
		return false, nil
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, nil
	}
	defer func() { _, _ = conn.Close(), answer.Body.Close() }() // the other way round, it would read to the end
	if answer.StatusCode != http.StatusOK {
		return false, nil
	}
	return true, r.deny(answer.Body)
}

// deny puts entries on the denylist of this process, and passes them on to the one before it. Those that it has, it skips.
func (r *relays) deny(entries io.Reader) error {
	known := make(map[auth.Entry]time.Time)
	what := func(e auth.Entry) auth.Entry { return auth.Entry{Token: e.Token, Stream: e.Stream, Action: e.Action} }
	for _, e := range r.server.access.Denylist() {
		known[what(e)] = e.Until
	}
	lines := bufio.NewReaderSize(entries, maxDenial)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read an entry of the denylist: %w", err)
		}
		if err != nil {
			return nil // it sends no more
		}
		var e auth.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("read an entry of the denylist: %w", err)
		}
		if until, is := known[what(e)]; is && until.Add(time.Second).After(e.Until) {
			continue // it was rounded
		}
		// One that is over, or nearly, has sent away whom it is about in the next process.
		added, ended, err := r.server.access.Deny(what(e), max(time.Until(e.Until), time.Second))
		if err != nil {
			return fmt.Errorf("take over an entry of the denylist: %w", err)
		}
		known[what(e)] = e.Until
		r.server.denials.tell(added)
		r.server.logger.Info("permissions were revoked by the next process", "ended", ended)
	}
}

// denials passes on what is put on the denylist, to the process before: its viewers may be meant.
type denials struct {
	mu        sync.Mutex
	followers map[chan auth.Entry]struct{}
}

// tell passes an entry on.
func (d *denials) tell(e auth.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for follower := range d.followers {
		select {
		case follower <- e:
		default:
			close(follower)
			delete(d.followers, follower)
		}
	}
}

// serve answers with the entries that there are, and then with others as they come.
func (d *denials) serve(w http.ResponseWriter, r *http.Request, list func() []auth.Entry) {
	follower := make(chan auth.Entry, maxDenials)
	d.mu.Lock()
	if d.followers == nil {
		d.followers = make(map[chan auth.Entry]struct{})
	}
	d.followers[follower] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.followers, follower)
		d.mu.Unlock()
	}()
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // it lasts as long as the other process
	lines := json.NewEncoder(w)
	for _, e := range list() { // not earlier, or one could be missed
		if lines.Encode(e) != nil {
			return
		}
	}
	_ = control.Flush()
	for {
		select {
		case e, ok := <-follower:
			if !ok || lines.Encode(e) != nil || control.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
