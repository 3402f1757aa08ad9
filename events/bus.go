package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// defaultSize is how many events the bus remembers: 16 s of a thousand streams with segments of
// 2 s, or days of a few. An event with its data has less than 1 KB, so this is at most 8 MB.
const defaultSize = 8192

// Bus takes events and remembers the newest. Use NewBus.
type Bus struct {
	run string
	now func() time.Time

	// mu guards all below. Nothing is done with it held that could wait.
	mu   sync.Mutex
	ring []Event // the event with number n is at (n-1) % len
	last uint64  // number of the newest, 0 before there is one
	wake chan struct{}
	// closed: no more events will come, and readers who have read all are told so.
	closed bool
}

// NewBus returns a bus without events that remembers size of them; 0 is 8192.
func NewBus(size int) *Bus {
	if size <= 0 {
		size = defaultSize
	}
	now := time.Now()
	return &Bus{
		run: fmt.Sprintf("%x", now.UnixNano()), now: time.Now,
		ring: make([]Event, size), wake: make(chan struct{}),
	}
}

// Emit adds an event, and sets its ID, and its time unless it has one. It never waits for anybody.
func (b *Bus) Emit(e Event) {
	if e.Time.IsZero() {
		e.Time = b.now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.last++
	e.ID = ID{Run: b.run, Number: b.last}
	b.ring[(b.last-1)%uint64(len(b.ring))] = e
	close(b.wake)
	b.wake = make(chan struct{})
}

// Close says that no more events will come. What is emitted afterwards is not heard.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.wake)
	}
}

// Last returns the ID of the newest event; its number is 0 before there is one.
func (b *Bus) Last() ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ID{Run: b.run, Number: b.last}
}

// Reader follows a bus. It belongs to one goroutine.
type Reader struct {
	bus  *Bus
	next uint64
	// stranger: it comes from another run, whose events are not known.
	stranger bool
}

// Follow returns a reader that begins behind an event. After the zero ID it begins with the oldest
// event that is remembered, as if there had been none before. After an event of another run it begins
// there too, and its first event says that some were missed.
func (b *Bus) Follow(after ID) *Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch after.Run {
	case b.run:
		return &Reader{bus: b, next: min(after.Number, b.last) + 1}
	case "":
		return &Reader{bus: b, next: b.oldest()}
	}
	return &Reader{bus: b, next: b.oldest(), stranger: true}
}

// oldest returns the number of the oldest event that is remembered.
func (b *Bus) oldest() uint64 {
	if n := uint64(len(b.ring)); b.last > n {
		return b.last - n + 1
	}
	return 1
}

// ErrClosed reports that all events were read, and no more will come.
var ErrClosed = errors.New("the server is stopping")

// Next appends up to limit events to dst. It waits until there is one, or until ctx ends. It returns
// ErrClosed behind the last event of a bus that was closed. If events
// were missed, one of type Missed stands in their place; its ID is that of the last of them.
func (r *Reader) Next(ctx context.Context, dst []Event, limit int) ([]Event, error) {
	for {
		var wake <-chan struct{}
		if dst, wake = r.read(dst, limit); wake == nil {
			return dst, nil
		}
		select {
		case <-ctx.Done():
			return dst, ctx.Err()
		case <-wake:
			if r.over() {
				return dst, ErrClosed
			}
		}
	}
}

// over reports whether everything was read of a bus that was closed.
func (r *Reader) over() bool {
	r.bus.mu.Lock()
	defer r.bus.mu.Unlock()
	return r.bus.closed && r.next > r.bus.last
}

// Ready appends the events that there are, up to limit.
func (r *Reader) Ready(dst []Event, limit int) []Event {
	dst, _ = r.read(dst, limit)
	return dst
}

// read appends what there is; if there is nothing it returns what to wait for.
func (r *Reader) read(dst []Event, limit int) ([]Event, <-chan struct{}) {
	b := r.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	if oldest := b.oldest(); r.stranger || r.next < oldest {
		gap := Gap{}
		if !r.stranger {
			gap.Events = oldest - r.next
		}
		dst = append(dst, Event{
			ID: ID{Run: b.run, Number: oldest - 1}, Time: b.now().UTC().Truncate(time.Millisecond), Type: Missed, Data: gap,
		})
		r.next, r.stranger = oldest, false
		limit--
	} else if r.next > b.last {
		return dst, b.wake
	}
	for ; r.next <= b.last && limit > 0; limit-- {
		dst = append(dst, b.ring[(r.next-1)%uint64(len(b.ring))])
		r.next++
	}
	return dst, nil
}
