package hls

import (
	"path"
	"testing"
	"time"
)

func TestASegmentThatCannotBeReadAtTheStartIsKeptUntilItIsKnownWhatItIs(t *testing.T) {
	const attempts = 4 // at the start, and 1 s, 3 s and 7 s later
	for _, spoilt := range []bool{false, true} {
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.publish(e, 0, 20_000)
			was := s.lastMedia()
			list := uris(string(was.Body))
			url := path.Dir(was.URL) + "/" + list[3]
			whole := s.history.Segments[url]
			s.crash()
			blobs := contents(t, s.store.Memory)
			if spoilt {
				blobs[url[1:]][1000] ^= 1
			}
			s.store = storeOf(t, blobs)
			s.serveFromAgain(&unreadable{faultyStore: s.store, what: list[3], times: attempts})

			if w := s.get(was.URL); w.Body.String() != string(was.Body) {
				t.Errorf("after one read error the playlist is\n%s\nand was\n%s", w.Body, was.Body)
			}
			h := s.server.Health()
			if h.OK || h.Unread != 1 || h.Channels != 0 || h.Reason != "input/output error" || h.Since.IsZero() {
				t.Errorf("health: %+v", h)
			}
			time.Sleep(6 * time.Second)
			if h := s.server.Health(); h.Unread != 1 {
				t.Errorf("while it still cannot be read: %+v", h)
			}
			time.Sleep(10 * time.Second)
			if h := s.server.Health(); !h.OK || h.Unread != 0 || !h.Since.IsZero() || h.Reason != "" {
				t.Errorf("when it is known: %+v", h)
			}
			if contents(t, s.store.Memory)[url[1:]] == nil {
				t.Error("it was removed")
			}
			w := s.get(url)
			if want := map[bool]int{false: 200, true: 404}[spoilt]; w.Code != want {
				t.Errorf("spoilt %v: the segment is answered with %d", spoilt, w.Code)
			}
			if !spoilt && w.Body.String() != string(whole) {
				t.Error("the segment has other bytes")
			}
		})
	}
}

func TestASegmentThatCannotBeReadGoesWhenItsTimeIsOver(t *testing.T) {
	onStage(t, Config{Grace: 5 * time.Second}, func(s *stage) {
		s.publish(at25(25), 0, 20_000)
		was := s.lastMedia()
		uri := uris(string(was.Body))[3]
		s.crash()
		s.serveFromAgain(&unreadable{faultyStore: s.store, what: uri, times: 1_000_000})
		time.Sleep(5 * time.Minute)
		if left := contents(t, s.store.Memory); len(left) > 0 {
			t.Errorf("%d blobs are left", len(left))
		}
		if h := s.server.Health(); !h.OK {
			t.Errorf("health: %+v", h)
		}
	})
}
