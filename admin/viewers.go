package admin

import (
	"net/http"
	"strconv"

	"github.com/headwater-live/headwater/remux"
)

// listViewers lists those who read a stream as it comes. HLS players have no connection that lasts,
// so they are counted with their stream, and not listed.
func (h *handler) listViewers(w http.ResponseWriter, r *http.Request) {
	p, ok := parsePage(w, r)
	if !ok {
		return
	}
	after, ok := p.number(w)
	if !ok {
		return
	}
	stream := remux.StreamName(r.URL.Query().Get("stream"))
	viewers := h.config.Streams.Viewers(stream, after, p.limit+1)
	answer := struct {
		Viewers []remux.ViewerInfo `json:"viewers"`
		Next    string             `json:"next,omitempty"`
	}{Viewers: viewers}
	if len(viewers) > p.limit {
		answer.Viewers = viewers[:p.limit]
		answer.Next = cursor(strconv.FormatUint(viewers[p.limit-1].ID, 10))
	}
	if answer.Viewers == nil {
		answer.Viewers = []remux.ViewerInfo{}
	}
	respond(w, r, answer)
}

func (h *handler) endViewer(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || !h.config.Streams.EndViewer(id) {
		problem(w, http.StatusNotFound, "viewer-not-found", "no such viewer")
		return
	}
	h.did(w, r, "viewer ended by the API", "viewer", id)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}
