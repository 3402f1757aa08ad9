package hls

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// lastMedia returns the newest version of the media playlist.
func (s *stage) lastMedia() hlscheck.Version {
	s.t.Helper()
	if len(s.history.Media) == 0 {
		s.t.Fatal("there was no media playlist")
	}
	return s.history.Media[len(s.history.Media)-1]
}

func TestTheNextProcessServesTheSamePlaylists(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 25_400)
		s.look()
		media := s.get(s.lastMedia().URL)
		index := s.get("/live/test/index.m3u8")
		s.crash()
		s.restart()
		after := s.get(s.lastMedia().URL)
		if after.Body.String() != media.Body.String() || after.Header().Get("Etag") != media.Header().Get("Etag") ||
			after.Header().Get("Last-Modified") != media.Header().Get("Last-Modified") {
			t.Errorf("was %v\n%s\nis %v\n%s", media.Header(), media.Body, after.Header(), after.Body)
		}
		if got := s.get("/live/test/index.m3u8"); got.Body.String() != index.Body.String() {
			t.Errorf("was\n%s\nis\n%s", index.Body, got.Body)
		}
		for _, uri := range uris(after.Body.String()) {
			s.fetch(path.Dir(s.lastMedia().URL) + "/" + uri)
		}
	})
}

func TestAPublisherGoesOnAfterACrash(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 20_400)
		s.crash()
		s.pass(time.Second)
		s.restart()
		s.pass(3 * time.Second)
		s.publish(e, 5_000, 25_000) // the encoder's clock is what it is
		s.leave()
		r := s.report()
		if got := breaksAt(r); !equal(got, []float64{5}) {
			t.Errorf("discontinuities at %v s, want one at 5", got)
		}
		media := 0
		for _, v := range s.history.Media {
			if v.URL != s.history.Media[0].URL {
				media++
			}
		}
		if media > 0 {
			t.Error("the address of the playlist has changed")
		}
		s.publish(e, 25_040, 60_000)
		s.leave()
		s.report()
		if last := string(s.lastMedia().Body); !strings.Contains(last, "DISCONTINUITY-SEQUENCE:2\n") {
			t.Error(last)
		}
	})
}

func TestAStopContinuesInTheNextProcessWithoutAnEnd(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_400)
		s.server.Stop()
		s.leave()
		s.sink.Close()
		s.sink = nil
		s.mark(hlscheck.ServerDown)
		s.stop()
		before := string(s.lastMedia().Body)
		s.restart()
		if got := string(s.lastMedia().Body); got != before || strings.Contains(got, "ENDLIST") {
			t.Errorf("was\n%s\nis\n%s", before, got)
		}
		s.publish(e, 10_440, 20_000)
		s.leave()
		s.accounts(s.report())
	})
}

func TestARestoredStreamEndsAfterItsGrace(t *testing.T) {
	onStage(t, Config{Grace: 20 * time.Second}, func(s *stage) {
		s.publish(at25(25), 0, 20_400)
		s.crash()
		s.restart()
		s.pass(19 * time.Second)
		if got := string(s.lastMedia().Body); strings.Contains(got, "ENDLIST") {
			t.Errorf("before the grace was over:\n%s", got)
		}
		s.pass(2 * time.Second)
		ended := s.lastMedia()
		if !strings.HasSuffix(string(ended.Body), "\n#EXT-X-ENDLIST\n") {
			t.Errorf("after the grace:\n%s", ended.Body)
		}
		// Who publishes now begins anew, and goes on counting.
		s.publish(at25(25), 0, 5_000)
		s.leave()
		anew := s.lastMedia()
		if anew.URL == ended.URL || !strings.Contains(string(anew.Body), "#EXT-X-MEDIA-SEQUENCE:10\n") {
			t.Errorf("%s after %s:\n%s\n%s", anew.URL, ended.URL, anew.Body, ended.Body)
		}
		s.pass(time.Minute)
		for name := range contents(t, s.store) {
			if strings.Contains(ended.URL, strings.Split(name, "/")[2]) {
				t.Errorf("%s is left of the ended stream", name)
			}
		}
	})
}

func TestAnEndedStreamStaysEndedInTheNextProcess(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 20_400)
		s.leave()
		s.mark(hlscheck.StreamEnded)
		s.sink.Close()
		s.look()
		before := s.lastMedia()
		s.sink = nil
		s.crash()
		s.restart()
		if w := s.get(before.URL); w.Code != 200 || w.Body.String() != string(before.Body) {
			t.Errorf("%d\n%s\nwant\n%s", w.Code, w.Body, before.Body)
		}
		for _, uri := range uris(string(before.Body)) {
			s.fetch(path.Dir(before.URL) + "/" + uri)
		}
		s.publish(at25(25), 0, 5_000)
		s.leave()
		if s.lastMedia().URL == before.URL {
			t.Error("an ended playlist went on")
		}
		s.pass(time.Minute)
		if w := s.get(before.URL); w.Code != 404 {
			t.Errorf("the ended playlist a minute later: %d", w.Code)
		}
	})
}

func TestOrphansAreRemoved(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 20_400)
		s.crash()
		folder := strings.TrimPrefix(path.Dir(s.lastMedia().URL), "/")
		blobs := contents(t, s.store)
		stay := len(blobs) + 3
		blobs[folder+"/99-0123abcd.ts"] = []byte("stored, and not listed when the process died")
		blobs["live/gone/00112233445566ff/0-0123abcd.ts"] = []byte("no journal")
		blobs["live/bad/00112233445566ff/journal"] = []byte("nonsense\n")
		blobs["live/bad/00112233445566ff/7-0123abcd.ts"] = []byte("x")
		blobs["live/notes.txt"] = []byte("somebody else's")
		blobs["live/test/recording/0-0123abcd.ts"] = []byte("somebody else's")
		blobs[folder+"/notes.txt"] = []byte("somebody else's")
		s.store = storeOf(t, blobs)
		s.restart()
		s.pass(time.Second)
		left := contents(t, s.store)
		if len(left) != stay {
			t.Errorf("%d blobs are left, want %d", len(left), stay)
		}
		for name := range left {
			if strings.Contains(name, "0123abcd") && !strings.Contains(name, "recording") || strings.Contains(name, "bad") {
				t.Errorf("%s is left", name)
			}
		}
	})
}

func TestSegmentsThatWereRemovedStayTheirTimeInTheNextProcess(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 20_400)
		before := s.history.Media[len(s.history.Media)-2]
		removed := path.Dir(before.URL) + "/" + uris(string(before.Body))[0]
		s.crash()
		s.restart()
		head := uris(string(s.lastMedia().Body))[0]
		if head == path.Base(removed) {
			t.Fatal("the segment is still listed")
		}
		s.fetch(removed)
	})
}

func TestASegmentThatIsNotWholeIsNotListedAgain(t *testing.T) {
	for _, spoil := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-188] },
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { b[1000] ^= 1; return b },
	} {
		onStage(t, Config{}, func(s *stage) {
			s.publish(at25(25), 0, 20_400)
			s.crash()
			was := s.lastMedia()
			list := uris(string(was.Body))
			name := strings.TrimPrefix(path.Dir(was.URL), "/") + "/" + list[3]
			blobs := contents(t, s.store)
			if blobs[name] = spoil(blobs[name]); blobs[name] == nil {
				delete(blobs, name)
			}
			s.store = storeOf(t, blobs)
			s.start()
			if err := s.server.Restore(); err != nil {
				t.Fatal(err)
			}
			w := s.get(was.URL)
			if got := uris(w.Body.String()); fmt.Sprint(got) != fmt.Sprint(list[4:]) {
				t.Errorf("the playlist lists %v, want %v", got, list[4:])
			}
			if w := s.get(path.Dir(was.URL) + "/" + list[3]); w.Code != 404 {
				t.Errorf("the spoilt segment: %d", w.Code)
			}
		})
	}
}

func TestAnOlderIncarnationThatWasNotEndedEndsAtOnce(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 10_400)
		s.crash()
		older := s.lastMedia()
		blobs := contents(t, s.store)
		s.store = storeOf(t, nil)
		s.start()
		s.publish(at25(25), 0, 20_400)
		s.crash()
		newer := s.lastMedia()
		for name, content := range contents(t, s.store) {
			blobs[name] = content
		}
		s.store = storeOf(t, blobs)
		s.restart()
		if w := s.get(older.URL); !strings.HasSuffix(w.Body.String(), "#EXT-X-ENDLIST\n") {
			t.Errorf("%d\n%s", w.Code, w.Body)
		}
		if w := s.get(newer.URL); w.Body.String() != string(newer.Body) {
			t.Errorf("%d\n%s\nwant\n%s", w.Code, w.Body, newer.Body)
		}
		s.publish(at25(25), 0, 5_000)
		s.leave()
		if got := s.lastMedia(); got.URL != newer.URL || !strings.Contains(string(got.Body), "#EXT-X-DISCONTINUITY\n") {
			t.Errorf("%s\n%s", got.URL, got.Body)
		}
	})
}

func TestALostDataDirectoryMakesNewAddresses(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 10_400)
		s.crash()
		before := s.lastMedia()
		s.store = storeOf(t, nil)
		s.restart()
		if w := s.get("/live/test/index.m3u8"); w.Code != 404 {
			t.Errorf("a stream that is lost: %d", w.Code)
		}
		s.publish(at25(25), 0, 10_400)
		s.leave()
		if after := s.lastMedia(); after.URL == before.URL {
			t.Error("the address of the playlist came back")
		}
		s.report("playlist-unavailable", "endlist-missing")
	})
}

func TestAShorterOrLongerWindowAfterARestart(t *testing.T) {
	for _, size := range []int{3, 12} {
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.publish(e, 0, 30_400)
			s.crash()
			s.config.Window = size
			s.restart()
			s.publish(e, 30_440, 90_000)
			s.leave()
			s.report()
			if got := len(uris(string(s.lastMedia().Body))); got < size || got > size+1 {
				t.Errorf("%d segments, want %d", got, size)
			}
		})
	}
}

func TestALongerSegmentAfterARestartKeepsTheTargetDuration(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 20_400)
		s.crash()
		s.config.Segment = 6 * time.Second
		s.restart()
		s.publish(e, 20_440, 50_000)
		s.leave()
		for _, seg := range s.report().Segments {
			if !seg.Independent {
				t.Errorf("segment %d does not begin with an IDR", seg.Sequence)
			}
		}
	})
}

func TestFiftyCrashesAtRandomMoments(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		r := rand.New(rand.NewPCG(4, 2))
		e := at25(25)
		for from := int64(0); len(s.history.Marks) < 4*50; {
			to := from + 500 + r.Int64N(9_000)
			s.publish(e, from, to)
			s.crash()
			s.pass(time.Duration(r.IntN(2_000)) * time.Millisecond)
			s.restart()
			s.pass(time.Duration(r.IntN(3_000)) * time.Millisecond)
			from = r.Int64N(100_000)
		}
		s.publish(e, 0, 20_000)
		s.leave()
		s.report()
		for _, v := range s.history.Media {
			if v.URL != s.history.Media[0].URL {
				t.Fatalf("the playlist moved to %s", v.URL)
			}
		}
	})
}

// unreadable is a storage that does not give the journals out, or another blob.
type unreadable struct {
	*faultyStore
	what  string // the last part of the name
	mu    sync.Mutex
	times int // how often it does not
}

func (u *unreadable) Open(name string) (Blob, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if path.Base(name) == u.what && u.times > 0 {
		u.times--
		return nil, fmt.Errorf("open blob: %w", syscall.EIO)
	}
	return u.faultyStore.Open(name)
}

func TestAStreamWhoseJournalCannotBeReadIsLeftAlone(t *testing.T) {
	for _, times := range []int{1, 2} {
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.publish(e, 0, 20_000)
			was := s.lastMedia()
			s.crash()
			before := contents(t, s.store.Memory)
			s.serveFromAgain(&unreadable{faultyStore: s.store, what: journalName, times: times})
			if code := s.get(was.URL).Code; (code == 200) != (times == 1) {
				t.Errorf("it could not be read %d times: %d", times, code)
			}
			if after := contents(t, s.store.Memory); len(after) != len(before) {
				t.Errorf("%d of %d blobs are left", len(after), len(before))
			}
			if times == 2 {
				s.publish(e, 20_040, 24_500) // a new incarnation, whose numbers are higher
				now := s.lastMedia()
				s.crash()
				s.restart()
				if w := s.get("/live/test/index.m3u8"); !strings.Contains(w.Body.String(), path.Base(path.Dir(now.URL))) {
					t.Errorf("the next process goes on with the older one:\n%s", w.Body)
				}
			}
		})
	}
}

// serveFromAgain starts the next process with a storage.
func (s *stage) serveFromAgain(store Storage) {
	config := s.config
	config.Storage = store
	s.server = NewServer(config)
	if err := s.server.Restore(); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

func TestAJournalOfAnotherVersionIsLeftAlone(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 20_000)
		was := s.lastMedia()
		s.crash()
		blobs := contents(t, s.store.Memory)
		for name, text := range blobs {
			if path.Base(name) == journalName {
				_, lines, _ := strings.Cut(string(text), "\n")
				o := opening{Version: journalVersion + 1, Stream: string(testName), Incarnation: path.Base(path.Dir(name))}
				blobs[name] = append((&record{Open: &o}).appendLine(nil), lines...)
			}
		}
		s.store = storeOf(t, blobs)
		s.restart()
		if code := s.get(was.URL).Code; code != 404 {
			t.Errorf("the playlist: %d", code)
		}
		if left := contents(t, s.store.Memory); len(left) != len(blobs) {
			t.Errorf("%d of %d blobs are left", len(left), len(blobs))
		}
		if _, err := Verify(s.store.Memory, true); !errors.Is(err, errVersion) {
			t.Errorf("verify: %v", err)
		}
	})
}
