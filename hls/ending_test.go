package hls

import (
	"bytes"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatAnEndedPlaylistListsCanBeFetchedForItsLengthAfterItHasGone(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 9_000) // the oldest has one second, the others two
		s.leave()
		s.sink.Close()
		s.sink = nil
		s.look()
		media := s.lastMedia()
		s.latest = nil
		var length time.Duration
		for _, l := range s.channel().window.removed {
			length += l.duration.duration()
		}
		fetchable := func() bool {
			for _, uri := range uris(string(media.Body)) {
				if s.get(path.Dir(media.URL)+"/"+uri).Code != 200 {
					return false
				}
			}
			return true
		}
		for s.get(media.URL).Code == 200 {
			if !fetchable() {
				t.Fatal("the playlist lists what cannot be fetched")
			}
			time.Sleep(50 * time.Millisecond)
		}
		if w := s.get("/live/test/index.m3u8"); w.Code != 404 {
			t.Errorf("the multivariant playlist: %d", w.Code)
		}
		time.Sleep(length - 100*time.Millisecond)
		if !fetchable() {
			t.Error("the segments went too early")
		}
		time.Sleep(3 * time.Second)
		if fetchable() {
			t.Error("the segments did not go")
		}
	})
}

func TestASmallerWindowAfterARestartLosesNothingAtOnce(t *testing.T) {
	onStage(t, Config{Window: 20}, func(s *stage) {
		s.publish(at25(25), 0, 100_000)
		s.look()
		was := s.lastMedia()
		s.crash()
		s.config.Window = 6
		s.restart()
		if w := s.get(was.URL); w.Body.String() != string(was.Body) {
			t.Errorf("%s\nwas\n%s", w.Body, was.Body)
		}
		s.publish(at25(25), 100_040, 102_500)
		if n := len(uris(s.get(was.URL).Body.String())); n > 7 {
			t.Errorf("%d segments are listed, want 6", n)
		}
		s.send(at25(25).frames(102_500, 138_000))
		if code := s.get(path.Dir(was.URL) + "/" + uris(string(was.Body))[1]).Code; code != 200 {
			t.Errorf("a segment that was in a playlist of 40 s, 36 s after it had left: %d", code)
		}
		s.send(at25(25).frames(138_000, 150_000))
		if code := s.get(path.Dir(was.URL) + "/" + uris(string(was.Body))[1]).Code; code != 404 {
			t.Errorf("48 s after it had left: %d", code)
		}
		s.leave()
	})
}

func TestViewersAreNotSentFromALostStreamToAnOlderOne(t *testing.T) {
	onStage(t, Config{Retain: Retention{Age: time.Hour}}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 20_000)
		s.leave()
		s.sink.Close()
		s.sink = nil
		s.look()
		older := s.lastMedia()
		s.publish(e, 0, 20_000)
		s.store.set(syscall.ENOSPC, 0)
		s.send(e.frames(20_000, 30_000))
		s.crash()
		s.restart()
		if w := s.get("/live/test/index.m3u8"); w.Code != 404 {
			t.Errorf("%d\n%s", w.Code, w.Body)
		}
		if w := s.get(older.URL); w.Code != 200 {
			t.Errorf("the older one, by its own address: %d", w.Code)
		}
		s.publish(e, 0, 5_000)
		s.look()
		if w := s.get("/live/test/index.m3u8"); w.Code != 200 || strings.Contains(w.Body.String(), path.Base(path.Dir(older.URL))) {
			t.Errorf("the next one: %d\n%s", w.Code, w.Body)
		}
		s.leave()
	})
}

func TestVerifyMissesAJournalAndItsNewestRecords(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 20_000)
		s.crash()
		for how, change := range map[string]func([][]byte) [][]byte{
			"no journal":       func([][]byte) [][]byte { return nil },
			"there are 3 newe": func(lines [][]byte) [][]byte { return lines[:len(lines)-4] },
		} {
			blobs := contents(t, s.store.Memory)
			for name, text := range blobs {
				if path.Base(name) != journalName {
					continue
				}
				if blobs[name] = bytes.Join(change(bytes.SplitAfter(text, []byte("\n"))), nil); len(blobs[name]) == 0 {
					delete(blobs, name)
				}
			}
			store := storeOf(t, blobs)
			if _, err := Verify(store, false); err == nil || !strings.Contains(err.Error(), how) {
				t.Errorf("%s: %v", how, err)
			}
			if _, err := Verify(store, true); err != nil {
				t.Errorf("%s, while a server uses it: %v", how, err)
			}
		}
	})
}
