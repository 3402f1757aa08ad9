package hls

import (
	"errors"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// inStorage reports how many segments of a playlist are in the storage.
func (s *stage) inStorage(v hlscheck.Version) int {
	blobs, n := contents(s.t, s.store.Memory), 0
	for _, uri := range uris(string(v.Body)) {
		if blobs[strings.TrimPrefix(path.Dir(v.URL), "/")+"/"+uri] != nil {
			n++
		}
	}
	return n
}

func TestAFullDiskIsNotSeenByViewersAndHeals(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_000)
		s.store.set(syscall.ENOSPC, 0)
		s.send(e.frames(10_000, 40_000))
		h := s.server.Health()
		if h.OK || h.Channels != 1 || !strings.Contains(h.Reason, syscall.ENOSPC.Error()) || h.Held < 500_000 || h.Held > 2_000_000 {
			t.Errorf("while the disk is full: %+v", h)
		}
		if age := time.Since(h.Since); age < 27*time.Second || age > 31*time.Second {
			t.Errorf("it is said to be full for %v", age)
		}
		s.store.set(nil, 0)
		s.send(e.frames(40_000, 44_500))
		if h := s.server.Health(); !h.OK || h.Held != 0 || h.Reason != "" {
			t.Errorf("when there is room again: %+v", h)
		}
		if media := s.lastMedia(); s.inStorage(media) != len(uris(string(media.Body))) {
			t.Errorf("%d segments of the playlist are stored:\n%s", s.inStorage(media), media.Body)
		}
		s.send(e.frames(44_500, 50_000))
		s.leave()
		s.accounts(s.report())
		if v, err := Verify(s.store.Memory, true); err != nil || v.Listed < 6 {
			t.Errorf("%+v, %v", v, err)
		}
		if lost := s.server.Metrics().SegmentsLost.Load(); lost != 0 {
			t.Errorf("%d segments were lost", lost)
		}
	})
}

func TestADiskThatDoesNotAnswerDelaysAListingByAMoment(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_000)
		unblock := s.store.block()
		s.send(e.frames(10_000, 40_000))
		if h := s.server.Health(); h.OK || !strings.Contains(h.Reason, "does not answer") {
			t.Errorf("%+v", h)
		}
		if waits := s.server.Metrics().StorageTimeouts.Load(); waits != 1 {
			t.Errorf("%d listings waited, want the first", waits)
		}
		unblock()
		s.send(e.frames(40_000, 45_000))
		s.leave()
		r := s.report()
		s.accounts(r)
		if gap := r.Measured.MaxListingGap; gap > 3*time.Second {
			t.Errorf("a segment was listed %v after the one before", gap)
		}
		if h := s.server.Health(); !h.OK || h.Held != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestASlowDiskIsServedFromMemoryMeanwhile(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.store.set(nil, 700*time.Millisecond)
		s.publish(at25(25), 0, 40_000)
		s.leave()
		s.pass(time.Second)
		r := s.report()
		s.accounts(r)
		s.pass(5 * time.Second)
		if media := s.lastMedia(); s.inStorage(media) != len(uris(string(media.Body))) {
			t.Errorf("%d segments of the playlist are stored:\n%s", s.inStorage(media), media.Body)
		}
		if h := s.server.Health(); h.Held != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestMemoryIsBoundedWhileTheDiskFails(t *testing.T) {
	onStage(t, Config{MaxHeld: 300_000}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_000)
		s.store.set(errors.New("input/output error"), 0)
		for _, f := range e.frames(10_000, 90_000) {
			s.send([]arrival{f})
			if held := s.server.Health().Held; held > 300_000 {
				t.Fatalf("%d bytes are held", held)
			}
		}
		media := string(s.lastMedia().Body)
		if n := len(uris(media)); n > 5 || n < 2 {
			t.Errorf("%d segments are listed: the test does not reach the bound\n%s", n, media)
		}
		if age := time.Since(s.lastMedia().At); age > 3*time.Second {
			t.Errorf("when memory was full nothing more was listed, for %v", age)
		}
		s.store.set(nil, 0)
		s.send(e.frames(90_000, 110_000))
		s.leave()
		// Who plays live lost nothing; what was older went early.
		s.accounts(s.report("window-too-short", "segment-unavailable"))
		if h := s.server.Health(); !h.OK || h.Held != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestACrashWhileTheDiskIsFullNeverMakesAPlaylistGoBack(t *testing.T) {
	for _, journal := range []bool{true, false} { // whether small writes still succeed
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.publish(e, 0, 10_000)
			s.store.mu.Lock()
			s.store.failing, s.store.onlyPut = syscall.ENOSPC, journal
			s.store.mu.Unlock()
			s.send(e.frames(10_000, 30_000))
			was := s.lastMedia()
			s.crash()
			s.restart()
			// All of it was in memory, so there is nothing to list.
			if w := s.get(was.URL); w.Code != 404 {
				t.Errorf("small writes succeed: %t, the playlist from before: %d\n%s", journal, w.Code, w.Body)
			}
			s.publish(e, 30_040, 50_000)
			s.leave()
			s.report("playlist-unavailable", "window-too-short", "endlist-missing")
			// Without records nobody can know what was listed: then the address is given up.
			if same := s.lastMedia().URL == was.URL; same != journal {
				t.Errorf("small writes succeed: %t, the same address: %t", journal, same)
			}
		}) // fetching found no address with other bytes than before
	}
}

func TestAStuckDiskDoesNotKeepTheServerFromStopping(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 5_000)
		unblock := s.store.block()
		s.send(e.frames(5_000, 10_000))
		s.server.Stop()
		s.sink.End()
		s.sink.Close()
		began := time.Now()
		s.stop() // which gives it a minute
		if took := time.Since(began); took > 61*time.Second {
			t.Errorf("it took %v", took)
		}
		unblock()
		synctest.Wait()
		s.server = nil
	})
}

func TestWhatCouldNotBeRemovedIsCountedAndRemovedLater(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		stored := func() (n int, size int64) {
			for name, content := range contents(t, s.store.Memory) {
				if path.Base(name) != journalName {
					n++
					size += int64(len(content))
				}
			}
			return n, size
		}
		s.publish(e, 0, 60_000)
		before, _ := stored()
		s.store.keep(syscall.EROFS)
		s.send(e.frames(60_000, 120_000))
		n, size := stored()
		if n < before+20 {
			t.Fatalf("%d segments are stored, were %d: they could be removed", n, before)
		}
		if h := s.server.Health(); h.Used != size {
			t.Errorf("%d bytes are stored, %d are said to be", size, h.Used)
		}
		s.store.keep(nil)
		s.send(e.frames(120_000, 125_000))
		n, size = stored()
		if n > before+2 {
			t.Errorf("%d segments are stored, were %d", n, before)
		}
		if h := s.server.Health(); h.Used != size {
			t.Errorf("%d bytes are stored, %d are said to be", size, h.Used)
		}
		s.leave()
		s.accounts(s.report())
	})
}

func TestTheQuotaTakesTheOldestRemovedSegmentsAndNoListedOne(t *testing.T) {
	const quota = 700_000 // a window has about 310 kB
	onStage(t, Config{Quota: quota, Retain: Retention{Age: time.Hour}}, func(s *stage) {
		s.publish(at25(25), 0, 60_000)
		s.look()
		used := int64(0)
		for name, content := range contents(t, s.store.Memory) {
			if path.Base(name) != journalName {
				used += int64(len(content))
			}
		}
		if h := s.server.Health(); h.Used != used || used > quota || used < quota*3/4 {
			t.Errorf("%d bytes are stored, %d are said to be", used, h.Used)
		}
		if s.server.Metrics().SegmentsEvicted.Load() < 10 {
			t.Errorf("%d segments went before their time", s.server.Metrics().SegmentsEvicted.Load())
		}
		if media := s.lastMedia(); s.inStorage(media) != len(uris(string(media.Body))) {
			t.Error("a listed segment is gone")
		}
		s.leave()
		s.accounts(s.report())
	})
	onStage(t, Config{Quota: 1}, func(s *stage) {
		s.publish(at25(25), 0, 30_000)
		s.leave()
		s.accounts(s.report())
	})
}

func TestTheQuotaTakesAnEndedStreamWhenItsTimeIsOver(t *testing.T) {
	const quota = 450_000 // one and a half windows: a part of the ended one would have to go
	onStage(t, Config{Quota: quota, Retain: Retention{Age: time.Hour}}, func(s *stage) {
		s.publish(at25(25), 0, 30_000)
		s.leave()
		s.sink.Close()
		s.sink = nil
		s.look()
		ended := s.lastMedia()
		if !strings.HasSuffix(string(ended.Body), "#EXT-X-ENDLIST\n") {
			t.Fatalf("no end:\n%s", ended.Body)
		}
		fetchable := func() (n int) {
			for _, uri := range uris(string(ended.Body)) {
				if s.get(path.Dir(ended.URL)+"/"+uri).Code == 200 {
					n++
				}
			}
			return n
		}
		s.publish(at25(25), 0, 10_000)
		if got, want := fetchable(), len(uris(string(ended.Body))); got != want {
			t.Errorf("%d of %d segments of a playlist that has just ended can be fetched", got, want)
		}
		s.send(at25(25).frames(10_000, 31_000)) // its time is over after 28 s: 2 s, and twice its length
		if got := fetchable(); got != 0 {
			t.Errorf("%d segments are left when the playlist's time is over", got)
		}
		for name := range contents(t, s.store.Memory) {
			if strings.HasPrefix("/"+name, path.Dir(ended.URL)) {
				t.Errorf("%s is left", name)
			}
		}
	})
}

func TestWhatAnEarlierProcessHasLeftCountsForTheQuota(t *testing.T) {
	onStage(t, Config{Retain: Retention{Age: time.Hour}}, func(s *stage) {
		s.publish(at25(25), 0, 60_000)
		s.crash()
		all := len(contents(t, s.store.Memory))
		s.config.Quota = 1
		s.restart()
		synctest.Wait()
		media := s.lastMedia()
		if got, want := len(contents(t, s.store.Memory)), len(uris(string(media.Body)))+1; got != want || all < 2*want {
			t.Errorf("of %d blobs %d are left, want the %d listed ones and the journal", all, got, want-1)
		}
		if got := s.inStorage(media); got != len(uris(string(media.Body))) {
			t.Errorf("%d listed segments are stored", got)
		}
		s.publish(at25(25), 60_040, 70_000)
		s.leave()
		s.report()
	})
}

func TestASegmentIsListedInTimeWhateverTheGOPAndTheStorageTake(t *testing.T) {
	for _, gop := range []int{25, 28, 31, 33, 35, 37} { // frames of 40 ms
		onStage(t, Config{Segment: time.Second}, func(s *stage) {
			e := at25(gop)
			s.publish(e, 0, 10_000)
			for at := int64(10_000); at < 40_000; at += 3_000 {
				s.store.set(nil, time.Duration(at/3_000%2)*290*time.Millisecond) // at once, then just in time
				s.send(e.frames(at, at+3_000))
			}
			s.store.set(nil, 0)
			s.leave()
			r := s.report("discontinuity-needless")
			target := time.Duration(s.channel().window.target)
			// Who looks every 100 ms sees it that much later, at most.
			if gap := r.Measured.MaxListingGap; gap > target*3/2+100*time.Millisecond {
				t.Errorf("GOPs of %d ms: a segment was listed %v after the one before, the target duration is %v", gop*40, gap, target)
			}
		})
	}
}

func TestARemovedSegmentStaysItsTimeFromWhenThePlaylistLostIt(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 30_400)
		s.store.set(nil, 125*time.Millisecond) // for the segment, and for its record
		media := s.lastMedia().URL
		oldest := uris(string(s.lastMedia().Body))[0]
		for at := int64(30_400); strings.Contains(s.get(media).Body.String(), oldest); at += 20 {
			s.send(e.frames(at, at+20))
		}
		left := time.Now()
		stay := 2*time.Second + 12*time.Second - 20*time.Millisecond // its duration, and that of the longest playlist
		s.send(e.frames(s.now()+1, s.now()+stay.Milliseconds()))
		s.until(left.Add(stay))
		if w := s.get(path.Dir(media) + "/" + oldest); w.Code != 200 {
			t.Errorf("%d, %v after it had left the playlist", w.Code, time.Since(left))
		}
		s.pass(time.Second)
		if w := s.get(path.Dir(media) + "/" + oldest); w.Code != 404 {
			t.Errorf("%d, %v after it had left the playlist", w.Code, time.Since(left))
		}
	})
}
