package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/remux"
)

// outputs answers for every output, and says for which.
type outputs struct{ t *testing.T }

func (o outputs) ServeIndex(w http.ResponseWriter, _ *http.Request, _ remux.StreamName, _ bool) {
	_, _ = w.Write([]byte("index"))
}

func (o outputs) ServeFile(w http.ResponseWriter, _ *http.Request, _ remux.StreamName, _, file string) {
	_, _ = w.Write([]byte(file))
}

func (o outputs) Serve(w http.ResponseWriter, r *http.Request, _ remux.StreamName, permit context.Context, leave func(uint64)) {
	defer leave(9)
	if r.Method == http.MethodHead {
		return
	}
	<-permit.Done()
	_, _ = w.Write([]byte("flv ended"))
}

// doorman is an Access that remembers who asked.
type doorman struct {
	verdict Verdict
	asked   []Ask
}

func (d *doorman) MayWatch(_ *http.Request, a Ask) Verdict {
	d.asked = append(d.asked, a)
	return d.verdict
}

func fetch(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// everyPath is a path of every kind that means a stream: a new kind belongs here.
var everyPath = []string{"/live/test/index.m3u8", "/live/test.m3u8", "/live/test/00ff/media.m3u8", "/live/test/00ff/1-0a.ts", "/live/test.flv", "/live/test.ts"}

func TestEveryOutputIsAskedFor(t *testing.T) {
	d := &doorman{verdict: Verdict{Status: http.StatusForbidden, Reason: "no ticket"}}
	h := &Handler{HLS: outputs{t}, FLV: outputs{t}, TS: outputs{t}, Access: d}
	for _, prefix := range []string{"", "/t/the-token"} {
		for _, path := range everyPath {
			for _, method := range []string{"GET", "HEAD"} {
				d.asked = nil
				w := fetch(h, method, prefix+path)
				if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "no ticket") || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s: %d %q %v", method, prefix+path, w.Code, w.Body, w.Header())
				}
				if w.Header().Get("Access-Control-Allow-Origin") != "*" {
					t.Errorf("%s: a page cannot read the refusal", path)
				}
				if len(d.asked) != 1 || d.asked[0].Name != "live/test" || d.asked[0].Token != strings.TrimPrefix(prefix, "/t/") ||
					d.asked[0].Segment != strings.Contains(path, "/00ff/1-") {
					t.Errorf("%s: asked %+v", path, d.asked)
				}
			}
		}
	}
	d.asked = nil
	for _, path := range []string{"/", "/live", "/t/token", "/t//live/test.flv", "/t/" + strings.Repeat("x", maxPathToken+1) + "/live/test.flv"} {
		if w := fetch(h, "GET", path); w.Code != 404 || len(d.asked) > 0 {
			t.Errorf("%s: %d, asked %+v", path, w.Code, d.asked)
		}
	}
}

func TestATokenInThePathLeadsToTheSameOutput(t *testing.T) {
	h := &Handler{HLS: outputs{t}, FLV: outputs{t}, TS: outputs{t}, Access: &doorman{}}
	for _, path := range everyPath[:4] {
		plain, with := fetch(h, "GET", path), fetch(h, "GET", "/t/hw1.1.abc-_"+path)
		if with.Code != 200 || with.Body.String() != plain.Body.String() {
			t.Errorf("%s: %d %q, want %q", path, with.Code, with.Body, plain.Body)
		}
	}
}

func TestAViewerThatStaysIsLetInAndSentAway(t *testing.T) {
	var inside, left int
	d := &doorman{verdict: Verdict{Enter: func(end func()) (func(), *Verdict) {
		inside++
		end() // its permission ends at once
		return func() { left++ }, nil
	}}}
	h := &Handler{HLS: outputs{t}, FLV: outputs{t}, TS: outputs{t}, Access: d}
	if w := fetch(h, "GET", "/live/test.flv"); w.Body.String() != "flv ended" || inside != 1 || left != 1 {
		t.Errorf("%q, %d in, %d left", w.Body, inside, left)
	}
	for _, path := range everyPath[:4] {
		fetch(h, "GET", path)
	}
	if inside != 1 {
		t.Error("who fetches a file is taken for one that stays")
	}
	fetch(&Handler{HLS: outputs{t}, Access: d}, "GET", "/live/test.flv")
	if inside != 2 || left != 2 {
		t.Errorf("where there is no output, %d are in and %d left", inside, left)
	}
	d.verdict.Enter = func(func()) (func(), *Verdict) { return nil, &Verdict{Status: 503, Reason: "full"} }
	if w := fetch(h, "GET", "/live/test.flv"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestAPrivateListenerTellsPagesOfOtherSitesNothing(t *testing.T) {
	h := &Handler{HLS: outputs{t}, Private: true}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		w := fetch(h, method, "/live/test/index.m3u8")
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") || name == "Timing-Allow-Origin" {
				t.Errorf("%s is answered with %s", method, name)
			}
		}
		if want := map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 405}[method]; w.Code != want {
			t.Errorf("%s: %d, want %d", method, w.Code, want)
		}
	}
}

func TestWhatIsForThisMachineIsNotReadByPagesOfElsewhere(t *testing.T) {
	for _, private := range []bool{false, true} {
		h := &Handler{HLS: outputs{t}, Access: &doorman{verdict: Verdict{Local: true}}, Private: private}
		for origin, want := range map[string]string{"": "", "http://127.0.0.1:8081": "http://127.0.0.1:8081"} {
			if private {
				want = "" // no page reads from the private listener
			}
			r := httptest.NewRequest(http.MethodGet, "/live/test.m3u8", nil)
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != 200 || got != want || w.Header().Get("Timing-Allow-Origin") != "" {
				t.Errorf("private %v, origin %q: %d, pages of %q may read it, want %q", private, origin, w.Code, got, want)
			}
		}
	}
}
