package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/headwater-live/headwater/events"
)

const (
	// maxEventStreams bounds the clients that follow events at once: each costs a goroutine and a
	// connection. Ten operators with ten tabs fit.
	maxEventStreams = 100
	// eventBatch is how many events are written at once, to one that catches up.
	eventBatch = 256
	// keepAlive is shorter than what proxies wait for a byte, which is a minute with most.
	keepAlive = 15 * time.Second
	// eventWrite bounds a write. A client that takes nothing for so long has gone.
	eventWrite = 10 * time.Second
)

// eventFilter says which events a client wants.
type eventFilter struct {
	stream string
	types  []string // empty is all
}

func (f eventFilter) wants(e *events.Event) bool {
	if e.Type == events.Missed {
		return true // it may have been what is wanted
	}
	return (f.stream == "" || f.stream == e.Stream) &&
		(len(f.types) == 0 || slices.Contains(f.types, string(e.Type)))
}

// parseEvents reads what a request for events wants, or answers and returns false.
func (h *handler) parseEvents(w http.ResponseWriter, r *http.Request) (f eventFilter, after events.ID, ok bool) {
	q := r.URL.Query()
	f.stream = q.Get("stream")
	if types := q.Get("types"); types != "" {
		f.types = strings.Split(types, ",")
		for _, t := range f.types {
			if !slices.Contains(events.Types, events.Type(t)) {
				problem(w, http.StatusBadRequest, "bad-parameter", "types is a list of event types, with commas between them")
				return f, after, false
			}
		}
	}
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = q.Get("after")
	}
	if text == "" {
		return f, after, true
	}
	after, err := events.ParseID(text)
	if err != nil {
		problem(w, http.StatusBadRequest, "bad-parameter", err.Error())
	}
	return f, after, err == nil
}

// showEvents answers with a page of events, or with a stream of them for a client that does not ask for
// JSON.
func (h *handler) showEvents(w http.ResponseWriter, r *http.Request) {
	if h.config.Events == nil {
		problem(w, http.StatusNotFound, "not-found", "there are no events")
		return
	}
	f, after, ok := h.parseEvents(w, r)
	if !ok {
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		h.listEvents(w, r, f, after)
		return
	}
	if h.eventStreams.Add(1) > maxEventStreams {
		h.eventStreams.Add(-1)
		h.config.Guard.count(tooManyEventStreams)
		w.Header().Set("Retry-After", "30")
		problem(w, http.StatusServiceUnavailable, "too-many-event-streams", "too many clients follow the events")
		return
	}
	defer h.eventStreams.Add(-1)
	h.streamEvents(w, r, f, after)
}

// listEvents answers with what is remembered; next continues there, also when nothing is left now.
func (h *handler) listEvents(w http.ResponseWriter, r *http.Request, f eventFilter, after events.ID) {
	p, ok := parsePage(w, r)
	if !ok {
		return
	}
	list, last := []events.Event{}, h.config.Events.Last()
	reader := h.config.Events.Follow(after)
	for len(list) < p.limit {
		batch := reader.Ready(nil, p.limit-len(list))
		if len(batch) == 0 {
			break
		}
		for i := range batch {
			if last = batch[i].ID; f.wants(&batch[i]) {
				list = append(list, batch[i])
			}
		}
	}
	respond(w, r, struct {
		Events []events.Event `json:"events"`
		After  string         `json:"after"`
	}{list, last.String()})
}

// streamEvents writes Server-Sent Events (WHATWG HTML, 9.2) until the client leaves or the server stops.
// A client that shows no ID gets what is remembered first, then what happens.
func (h *handler) streamEvents(w http.ResponseWriter, r *http.Request, f eventFilter, after events.ID) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	send := func(b []byte) bool {
		// Not the server's limit for whole answers. A connection that has gone says so when it is written to.
		_ = control.SetWriteDeadline(time.Now().Add(eventWrite))
		if _, err := w.Write(b); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	reader := h.config.Events.Follow(after)
	if !send([]byte("retry: 2000\n\n")) {
		return
	}
	var batch []events.Event
	for {
		ctx, cancel := context.WithTimeout(r.Context(), keepAlive)
		var err error
		batch, err = reader.Next(ctx, batch[:0], eventBatch)
		cancel()
		switch {
		case r.Context().Err() != nil || errors.Is(err, events.ErrClosed):
			return
		}
		if !send(appendEvents(nil, batch, f)) {
			return
		}
	}
}

// appendEvents appends events in the format of the stream. If the last of them is not wanted, its ID is
// sent alone, so that the client resumes behind it; without any it is a comment, which keeps the
// connection alive.
func appendEvents(dst []byte, batch []events.Event, f eventFilter) []byte {
	b := bytes.NewBuffer(dst)
	for i := range batch {
		e := &batch[i]
		if !f.wants(e) {
			if i == len(batch)-1 {
				b.WriteString("id: " + e.ID.String() + "\n\n")
			}
			continue
		}
		text, err := json.Marshal(e) // has no line break in it
		if err != nil {
			continue // no event has what JSON cannot say
		}
		b.WriteString("id: " + e.ID.String() + "\nevent: " + string(e.Type) + "\ndata: ")
		b.Write(text)
		b.WriteString("\n\n")
	}
	if b.Len() == 0 {
		b.WriteString(": still here\n\n")
	}
	return b.Bytes()
}
