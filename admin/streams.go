package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// HLSStatus is a stream's HLS window, as an operator sees it.
type HLSStatus struct {
	Path                  string       `json:"path"`
	Ended                 bool         `json:"ended"`
	Updated               time.Time    `json:"updated"`
	TargetDuration        float64      `json:"target_duration_seconds"`
	MediaSequence         uint64       `json:"media_sequence"`
	DiscontinuitySequence uint64       `json:"discontinuity_sequence"`
	Peak                  uint64       `json:"peak_bandwidth"`
	Average               uint64       `json:"average_bandwidth"`
	Codecs                string       `json:"codecs"`
	Length                float64      `json:"window_seconds"`
	Clients               int          `json:"clients"`
	Segments              []HLSSegment `json:"segments,omitempty"`
}

// HLSSegment is a segment in an HLS window.
type HLSSegment struct {
	Path          string    `json:"path"`
	Sequence      uint64    `json:"sequence"`
	Seconds       float64   `json:"seconds"`
	Date          time.Time `json:"date"`
	Bytes         int64     `json:"bytes"`
	Discontinuity bool      `json:"discontinuity"`
	InMemory      bool      `json:"in_memory"`
}

// streamInfo is all that is said of a stream.
type streamInfo struct {
	remux.Info
	ByProtocol map[string]int `json:"viewers_by_protocol"`
	Outputs    []output       `json:"outputs"`
	HLS        *HLSStatus     `json:"hls,omitempty"`
}

// describe says all of a stream, its segments only if they are wanted.
func (h *handler) describe(r *http.Request, s *remux.Stream, segments bool) streamInfo {
	info := streamInfo{Info: s.Info(), ByProtocol: map[string]int{}, Outputs: h.config.Addresses.outputs(r, s.Name())}
	for protocol := range h.config.Sources.Viewers {
		info.ByProtocol[protocol] = 0
	}
	for protocol, n := range s.ViewersByProtocol() {
		info.ByProtocol[protocol] = n
	}
	if h.config.HLS == nil {
		return info
	}
	info.ByProtocol["hls"] = 0
	if status, ok := h.config.HLS(s.Name()); ok {
		info.ByProtocol["hls"] = status.Clients
		if !segments {
			status.Segments = nil
		}
		info.HLS = &status
	}
	return info
}

func (h *handler) listStreams(w http.ResponseWriter, r *http.Request) {
	p, ok := parsePage(w, r)
	if !ok {
		return
	}
	streams, next := cut(p, h.config.Streams.Streams(), func(s *remux.Stream) string { return string(s.Name()) })
	list := make([]streamInfo, len(streams))
	for i, s := range streams {
		list[i] = h.describe(r, s, false)
	}
	respond(w, r, struct {
		Streams []streamInfo   `json:"streams"`
		Waiting map[string]int `json:"waiting"`
		Next    string         `json:"next,omitempty"`
	}{list, h.waiting(), next})
}

// waiting counts those who wait for streams that nobody publishes: what they ask for may be a secret.
func (h *handler) waiting() map[string]int {
	all := map[string]int{}
	for name, n := range h.config.Streams.Waiting() {
		all[name.Redacted()] += n
	}
	return all
}

func (h *handler) showStream(w http.ResponseWriter, r *http.Request) {
	if s := h.find(w, r); s != nil {
		respond(w, r, h.describe(r, s, true))
	}
}

func (h *handler) endStream(w http.ResponseWriter, r *http.Request) {
	s := h.find(w, r)
	if s == nil {
		return
	}
	if !s.EndPublication(remux.EndKicked) {
		problem(w, http.StatusConflict, "not-live", "nobody is publishing the stream")
		return
	}
	h.ended(w, r, s)
}

// ended says that a publication was ended, in the log and to the client.
func (h *handler) ended(w http.ResponseWriter, r *http.Request, s *remux.Stream) {
	h.did(w, r, "publication ended by the API", "stream", string(s.Name()))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// find returns the stream that a path names, or answers and returns nil.
func (h *handler) find(w http.ResponseWriter, r *http.Request) *remux.Stream {
	name, err := remux.ParseStreamName(r.PathValue("app"), r.PathValue("name"))
	if err != nil {
		problem(w, http.StatusNotFound, "stream-not-found", err.Error())
		return nil
	}
	s := h.config.Streams.Stream(name)
	if s == nil {
		problem(w, http.StatusNotFound, "stream-not-found", "no such stream")
	}
	return s
}

// publicationInfo is a publication in progress.
type publicationInfo struct {
	Stream     remux.StreamName `json:"stream"`
	Generation uint64           `json:"generation"`
	remux.PublicationInfo
}

func (h *handler) listPublications(w http.ResponseWriter, r *http.Request) {
	p, ok := parsePage(w, r)
	if !ok {
		return
	}
	live := []publicationInfo{}
	for _, s := range h.config.Streams.Streams() {
		if string(s.Name()) <= p.after {
			continue
		}
		if info := s.Info(); info.State == "live" {
			live = append(live, publicationInfo{info.Name, info.Generation, *info.Publication})
		}
		if len(live) > p.limit {
			break // one more than fits says that there is a next page
		}
	}
	list, next := cut(p, live, func(i publicationInfo) string { return string(i.Stream) })
	respond(w, r, struct {
		Publications []publicationInfo `json:"publications"`
		Next         string            `json:"next,omitempty"`
	}{list, next})
}

// publication returns the stream and the generation that a path names, if that is the newest one;
// otherwise it answers and returns nil.
func (h *handler) publication(w http.ResponseWriter, r *http.Request) (*remux.Stream, remux.Info) {
	s := h.find(w, r)
	if s == nil {
		return nil, remux.Info{}
	}
	info := s.Info()
	if strconv.FormatUint(info.Generation, 10) != r.PathValue("generation") || info.Publication == nil {
		problem(w, http.StatusNotFound, "publication-not-found", "the stream's newest publication is another one")
		return nil, remux.Info{}
	}
	return s, info
}

func (h *handler) showPublication(w http.ResponseWriter, r *http.Request) {
	if s, info := h.publication(w, r); s != nil {
		respond(w, r, publicationInfo{info.Name, info.Generation, *info.Publication})
	}
}

// endPublication ends the publication that the client saw, and no later one.
func (h *handler) endPublication(w http.ResponseWriter, r *http.Request) {
	s, info := h.publication(w, r)
	if s == nil {
		return
	}
	if !s.EndGeneration(info.Generation, remux.EndKicked) {
		problem(w, http.StatusConflict, "not-live", "the publication has ended")
		return
	}
	h.ended(w, r, s)
}
