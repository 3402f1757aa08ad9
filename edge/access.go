package edge

import (
	"context"
	"net/http"
	"strings"

	"github.com/headwater-live/headwater/remux"
)

// Access decides who may watch. It is asked once for every request for a stream, whatever the output: an output that
// is added here is covered by that.
type Access interface {
	MayWatch(r *http.Request, a Ask) Verdict
}

// Ask is what a request is for.
type Ask struct {
	Name remux.StreamName
	// Protocol is "hls", "flv" and so on.
	Protocol string
	// Token is the one in the path, "" if there is none there.
	Token string
	// Segment: it is for one segment, and not for a playlist or a stream. Index: it is for a multivariant playlist, with
	// which HLS players begin.
	Segment, Index bool
}

// Verdict is the answer.
type Verdict struct {
	// Status is 0 if the request is allowed, else that of the refusal, and Reason is for the viewer.
	Status int
	Reason string
	// Local says that only programs on this machine and their pages may read the answer.
	Local bool
	// Enter, if set, lets in a viewer that stays, until leave is called, once; or refuses. It may call end, at any time
	// and from any goroutine, when the permission ends first.
	Enter func(end func()) (leave func(), refusal *Verdict)
}

// tokenPrefix begins paths with a token: /t/TOKEN/APP/NAME/... No application is called "t", see remux.ErrReservedApp.
const tokenPrefix = "/t/"

// maxPathToken bounds the token in a path, in bytes.
const maxPathToken = 4 << 10

// cutToken takes the token out of a path.
func cutToken(path string) (token, rest string) {
	after, ok := strings.CutPrefix(path, tokenPrefix)
	if !ok {
		return "", path
	}
	cut := strings.IndexByte(after, '/')
	if cut < 1 || cut > maxPathToken {
		return "", path
	}
	return after[:cut], after[cut:]
}

// protocol names the output that a path is for.
func (p *path) protocol() string {
	switch p.kind {
	case flv:
		return "flv"
	case ts:
		return "ts"
	}
	return "hls"
}

// lasts reports whether the answer goes on for as long as the stream does.
func (p *path) lasts() bool { return p.protocol() != "hls" }

// admit asks whether a request may be answered; otherwise it has been refused. The permit of a viewer that stays ends
// when the permission does, and leave is to be called when the viewer has gone.
func (e *Handler) admit(w http.ResponseWriter, r *http.Request, p *path) (permit context.Context, leave func(), ok bool) {
	v := e.Access.MayWatch(r, Ask{
		Name: p.name, Protocol: p.protocol(), Token: p.token, Segment: p.kind == file && strings.HasSuffix(p.file, ".ts"),
		Index: p.kind == index || p.kind == indexByName,
	})
	if v.Status != 0 {
		refuse(w, &v)
		return nil, nil, false
	}
	if v.Local && !e.Private {
		keepLocal(w.Header(), r)
	}
	if v.Enter == nil || !p.lasts() || r.Method == http.MethodHead {
		return context.Background(), func() {}, true
	}
	// Not the request's context, which ends when the handler returns: a viewer may stay longer.
	permit, cancel := context.WithCancel(context.Background())
	left, refusal := v.Enter(cancel)
	if refusal != nil {
		cancel()
		refuse(w, refusal)
		return nil, nil, false
	}
	return permit, func() { left(); cancel() }, true
}

// keepLocal takes back what lets every web page read an answer, which would make this machine's browsers read it out to
// whoever's page they show. A page that this machine serves may read it: whoever decided has seen its origin.
func keepLocal(h http.Header, r *http.Request) {
	delete(h, "Access-Control-Allow-Origin")
	delete(h, "Timing-Allow-Origin")
	if origin := r.Header["Origin"]; len(origin) == 1 {
		h["Access-Control-Allow-Origin"] = origin
	}
	h.Add("Vary", "Origin")
}

// refuse answers with a refusal, which no cache may keep: it is about one viewer.
func refuse(w http.ResponseWriter, v *Verdict) {
	h := w.Header()
	if v.Status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{"5"}
	}
	plainFor(w, v.Status, "no-store", v.Reason)
}
