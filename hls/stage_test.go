package hls

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/storage"
)

const testName = remux.StreamName("live/test")

// stage is a server with a publisher and a viewer who looks every 100 ms. All time
// is that of a synctest bubble.
type stage struct {
	t      *testing.T
	store  *faultyStore
	config Config
	server *Server
	sink   remux.Sink
	began  time.Time // media time 0
	looked time.Time

	history hlscheck.History
	latest  map[string]int // version in force, by playlist
	sent    []hlscheck.AccessUnit
}

// onStage runs a test in a bubble.
func onStage(t *testing.T, config Config, test func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, store: &faultyStore{Memory: storage.NewMemory(0)}, config: config}
		s.history.Segments = map[string][]byte{}
		s.latest = map[string]int{}
		s.start()
		defer s.stop()
		test(s)
	})
}

func (s *stage) start() {
	config := s.config
	config.Storage = s.store
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(testWriter{s.t}, nil))
	}
	s.server = NewServer(config)
}

func (s *stage) stop() {
	if s.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.server.Close(ctx)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// publish begins a publication and sends the frames of [from, to) as they come.
func (s *stage) publish(e *encoder, from, to int64) {
	s.t.Helper()
	if s.sink == nil {
		s.sink = s.server.NewSink(testName)
	}
	s.mark(hlscheck.PublisherBack)
	s.began = time.Now().Add(-time.Duration(from) * time.Millisecond)
	s.sink.Begin(e.tracks())
	for _, pkt := range e.configs(from) {
		s.sink.Write(pkt)
	}
	s.send(e.frames(from, to))
}

// send passes frames on when they come.
func (s *stage) send(frames []arrival) {
	s.t.Helper()
	for _, f := range frames {
		s.until(s.began.Add(time.Duration(f.at) * time.Millisecond))
		s.sink.Write(f.pkt)
		s.account(f.pkt)
	}
}

// account notes what the referee should find.
func (s *stage) account(pkt *remux.Packet) {
	u := hlscheck.AccessUnit{DTS: pkt.DTS, Random: pkt.Keyframe}
	switch pkt.Kind {
	case remux.VideoFrame:
		n := binary.BigEndian.Uint32(pkt.Payload)
		u.Sum, u.Size = hlscheck.VideoSum([][]byte{pkt.Payload[4 : 4+n]})
	case remux.AudioFrame:
		u.Kind, u.Sum, u.Size = hlscheck.Audio, hlscheck.AudioSum(pkt.Payload), len(pkt.Payload)
	default:
		return
	}
	s.sent = append(s.sent, u)
}

// leave ends the publication.
func (s *stage) leave() {
	s.sink.End()
	s.mark(hlscheck.PublisherLeft)
	s.look()
}

// channel returns the newest channel of the stream.
func (s *stage) channel() *Channel {
	s.server.mu.RLock()
	defer s.server.mu.RUnlock()
	all := s.server.byName[testName].all
	return all[len(all)-1]
}

func (s *stage) mark(e hlscheck.Event) {
	s.history.Marks = append(s.history.Marks, hlscheck.Mark{Event: e, At: time.Now()})
}

// until lets time pass, and looks at the playlists meanwhile.
func (s *stage) until(when time.Time) {
	for time.Now().Before(when) {
		next := s.looked.Add(100 * time.Millisecond)
		if next.After(when) {
			time.Sleep(time.Until(when))
			return
		}
		time.Sleep(max(0, time.Until(next)))
		s.look()
	}
}

func (s *stage) pass(d time.Duration) { s.until(time.Now().Add(d)) }

// get answers a request as the edge does.
func (s *stage) get(url string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

func (s *stage) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("Access-Control-Allow-Origin", "*")
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch len(parts) {
	case 2:
		s.server.ServeIndex(w, r, remux.StreamName(parts[0]+"/"+strings.TrimSuffix(parts[1], ".m3u8")), true)
	case 3:
		s.server.ServeIndex(w, r, remux.StreamName(parts[0]+"/"+parts[1]), false)
	case 4:
		s.server.ServeFile(w, r, remux.StreamName(parts[0]+"/"+parts[1]), parts[2], parts[3])
	default:
		s.t.Fatalf("no such path: %s", r.URL.Path)
	}
	return w
}

// look keeps the playlists and fetches what they list.
func (s *stage) look() {
	synctest.Wait()
	s.looked = time.Now()
	if s.server == nil {
		return
	}
	index := "/" + string(testName) + "/index.m3u8"
	w := s.get(index)
	if w.Code != http.StatusOK {
		return
	}
	s.keep(&s.history.Multivariant, index, w)
	media := path.Dir(index) + "/" + uris(w.Body.String())[0]
	w = s.get(media)
	if w.Code != http.StatusOK {
		s.t.Errorf("%s: %d", media, w.Code)
		return
	}
	if !s.keep(&s.history.Media, media, w) {
		return
	}
	for _, uri := range uris(w.Body.String()) {
		s.fetch(path.Dir(media) + "/" + uri)
	}
}

// fetch keeps a segment, and checks that it is still what it was.
func (s *stage) fetch(url string) {
	w := s.get(url)
	if w.Code != http.StatusOK {
		s.t.Errorf("listed segment %s: %d", url, w.Code)
		return
	}
	if was, ok := s.history.Segments[url]; ok && string(was) != w.Body.String() {
		s.t.Errorf("segment %s has changed", url)
	}
	s.history.Segments[url] = w.Body.Bytes()
}

// keep adds a version of a playlist and reports whether it is new.
func (s *stage) keep(list *[]hlscheck.Version, url string, w *httptest.ResponseRecorder) bool {
	body := w.Body.Bytes()
	if i, ok := s.latest[url]; ok && string((*list)[i].Body) == string(body) {
		(*list)[i].LastSeen = time.Now()
		return false
	}
	s.latest[url] = len(*list)
	*list = append(*list, hlscheck.Version{URL: url, At: time.Now(), LastSeen: time.Now(), Header: w.Result().Header, Body: body})
	return true
}

// uris returns the lines of a playlist that are no tags.
func uris(playlist string) []string {
	var list []string
	for line := range strings.Lines(playlist) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

// report has the referee judge what was seen. Rules in ignore may be broken.
func (s *stage) report(ignore ...string) hlscheck.Report {
	s.t.Helper()
	s.look()
	report := hlscheck.CheckSegments(s.history, hlscheck.Options{Grace: s.config.Grace, Ignore: ignore})
	for _, f := range report.Findings {
		s.t.Errorf("%v", f)
	}
	return report
}

// accounts checks that every frame sent came out once and in order, beginning with
// those that the first segment can have.
func (s *stage) accounts(report hlscheck.Report) {
	s.t.Helper()
	if err := account(s.sent, report.AccessUnits); err != nil {
		s.t.Error(err)
	}
}

// account compares, track by track, what came out with the end of what went in.
func account(sent, got []hlscheck.AccessUnit) error {
	var errs []error
	for _, kind := range []hlscheck.Kind{hlscheck.Video, hlscheck.Audio} {
		in, out := sums(sent, kind), sums(got, kind)
		switch {
		case len(out) == 0 && len(in) > 0:
			errs = append(errs, errors.New(kind.String()+": nothing came out"))
		case len(out) > len(in):
			errs = append(errs, errors.New(kind.String()+": more came out than went in"))
		default:
			errs = append(errs, sameEnd(kind, in, out))
		}
	}
	return errors.Join(errs...)
}
