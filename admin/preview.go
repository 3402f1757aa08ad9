package admin

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// previewPrefix begins the paths of what the console plays.
const previewPrefix = "/preview"

const (
	// maxPreviews bounds the previews that are being opened, and segments on their way, at once. A preview of FLV takes its
	// connection over, and is a viewer of the stream like others, which the console lists and ends.
	maxPreviews = 32
	// previewWrite bounds an answer other than a live stream's, which sets its own: an operator may be at the other
	// end of a slow tunnel, for whom the ten seconds of the API's answers are too short for a segment.
	previewWrite = 90 * time.Second
)

// preview plays a stream to whoever may see everything here. It needs no permission of the stream's own, and no way
// to the public listener: one that is reached through a tunnel has none.
func (h *handler) preview(w http.ResponseWriter, r *http.Request) {
	// Without a token, any page could have a browser on this machine play, though not read, what is here.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		h.config.Guard.count(crossSite)
		problem(w, http.StatusForbidden, "forbidden", "the preview is for the console only")
		return
	}
	select {
	case h.previews <- struct{}{}:
		defer func() { <-h.previews }()
	default:
		h.config.Guard.count(tooManyPreviews)
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "too-many-previews", "too many previews are being opened")
		return
	}
	// A connection that has gone says so when it is written to.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(previewWrite))
	// A segment on its way stops where it is when the permit ends.
	defer context.AfterFunc(r.Context(), func() { _ = control.SetWriteDeadline(time.Now()) })()
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	inner := r.Clone(r.Context())
	inner.URL.Path = strings.TrimPrefix(r.URL.Path, previewPrefix)
	inner.URL.RawPath = ""
	h.config.Preview.ServeHTTP(w, inner)
}
