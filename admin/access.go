package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Access is who is in and who may not come in: what package auth's gate knows.
type Access interface {
	// Sessions returns at most limit publications and viewers that were let in and have a higher ID than after, in the
	// order of their IDs: of one stream or of all (""). next is the last one's ID if there are more, else 0.
	Sessions(stream string, after uint64, limit int) (list any, next uint64)
	// EndSession sends one away; false if there is none with that ID.
	EndSession(id string) bool
	// Denylist returns entries in force likewise.
	Denylist(after uint64, limit int) (list any, next uint64)
	// Durable reports whether all entries would be in force after a restart.
	Durable() bool
	// Deny adds an entry and sends away whom it is about. An error that is a client's fault wraps ErrInvalid; ErrEnding is
	// wrapped if nothing can change any more.
	Deny(d Denial, ttl time.Duration) (Denied, error)
	// Allow removes an entry; false if there is none with that ID. The error wraps ErrEnding.
	Allow(id string) (bool, error)
}

// Denied is what came of a Denial.
type Denied struct {
	Entry any `json:"entry"`
	Ended int `json:"ended"` // how many were sent away
	// Durable is whether the entry would be in force after a restart. It is in force now, whatever this says.
	Durable bool `json:"durable"`
}

// Denial is an entry to be: a token by its ID, or a stream by a pattern, for an action or for both ("").
type Denial struct {
	Token  string `json:"token"`
	Stream string `json:"stream"`
	Action string `json:"action"`
	TTL    string `json:"ttl"` // such as "2h"
}

// ErrInvalid is wrapped by what Access.Deny returns for an entry that cannot be.
var ErrInvalid = errors.New("invalid entry")

// ErrEnding is wrapped by what Access.Deny and Access.Allow return when this process ends, or another serves by now.
var ErrEnding = errors.New("nothing was changed")

// errTwoBodies reports something behind the JSON of a body.
var errTwoBodies = errors.New("more than one value")

// maxDenial bounds the body of a request, in bytes.
const maxDenial = 4 << 10

func (h *handler) sessions(w http.ResponseWriter, r *http.Request) {
	h.permissions(w, r, "sessions", nil, func(after uint64, limit int) (any, uint64) {
		return h.config.Access.Sessions(r.URL.Query().Get("stream"), after, limit)
	})
}

// permissions answers with a page of a list whose IDs are numbers, and more.
func (h *handler) permissions(w http.ResponseWriter, r *http.Request, name string, more map[string]any, get func(after uint64, limit int) (any, uint64)) {
	p, ok := parsePage(w, r)
	if !ok {
		return
	}
	after, ok := p.number(w)
	if !ok {
		return
	}
	list, next := get(after, p.limit)
	answer := map[string]any{name: list}
	maps.Copy(answer, more)
	if next > 0 {
		answer["next"] = cursor(strconv.FormatUint(next, 10))
	}
	respond(w, r, answer)
}

func (h *handler) endSession(w http.ResponseWriter, r *http.Request) {
	if !h.config.Access.EndSession(r.PathValue("id")) {
		problem(w, http.StatusNotFound, "not-found", "nobody has that ID, or has left")
		return
	}
	h.did(w, r, "session ended by the API")
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) denylist(w http.ResponseWriter, r *http.Request) {
	h.permissions(w, r, "denylist", map[string]any{"durable": h.config.Access.Durable()}, h.config.Access.Denylist)
}

func (h *handler) deny(w http.ResponseWriter, r *http.Request) {
	var d Denial
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDenial))
	body.DisallowUnknownFields()
	err := body.Decode(&d)
	if err == nil {
		if err = body.Decode(new(json.RawMessage)); err == nil {
			err = errTwoBodies
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body may have %d bytes", maxDenial))
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "bad-request", `the body must be JSON such as {"token": "ID", "ttl": "2h"}`)
		return
	}
	ttl, err := time.ParseDuration(d.TTL)
	if err != nil {
		problem(w, http.StatusBadRequest, "bad-request", `"ttl" is not a duration, such as "2h"`)
		return
	}
	denied, err := h.config.Access.Deny(d, ttl)
	switch {
	case errors.Is(err, ErrInvalid):
		problem(w, http.StatusBadRequest, "bad-request", err.Error())
		return
	case errors.Is(err, ErrEnding):
		problem(w, http.StatusServiceUnavailable, "ending", err.Error())
		return
	case err != nil:
		problem(w, http.StatusConflict, "denylist-full", err.Error())
		return
	}
	h.did(w, r, "permission taken back by the API", "ended", denied.Ended, "ttl", ttl, "durable", denied.Durable)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	writeBody(w, http.StatusCreated, denied)
}

func (h *handler) allow(w http.ResponseWriter, r *http.Request) {
	there, err := h.config.Access.Allow(r.PathValue("id"))
	if err != nil {
		problem(w, http.StatusServiceUnavailable, "ending", err.Error())
		return
	}
	if !there {
		problem(w, http.StatusNotFound, "not-found", "no entry has that ID, or it is over")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
