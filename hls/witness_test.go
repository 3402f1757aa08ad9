package hls

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/storage"
)

// journals returns how many journals are in the storage.
func (s *stage) journals() (n int) {
	for name := range contents(s.t, s.store.Memory) {
		if path.Base(name) == journalName {
			n++
		}
	}
	return n
}

func TestTheJournalGoesBeforeWhatItDoesNotSayIsListedAndComesBackWhole(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_500)
		s.store.set(syscall.ENOSPC, 0)
		s.send(e.frames(10_500, 10_900))
		if s.journals() != 1 {
			t.Error("the journal is gone before there is something that it does not say")
		}
		s.send(e.frames(10_900, 20_000))
		if s.journals() != 0 {
			t.Error("the journal is there, and does not say what is listed")
		}
		s.store.set(nil, 0)
		s.send(e.frames(20_000, 24_500))
		was := s.lastMedia()
		s.crash()
		s.restart()
		if w := s.get(was.URL); w.Body.String() != string(was.Body) {
			t.Errorf("when there is room again, after a crash: %d\n%s\nwas\n%s", w.Code, w.Body, was.Body)
		}
		if _, err := Verify(s.store.Memory, true); err != nil {
			t.Error(err)
		}
	})
}

func TestTheStreamGoesOnWhileTheJournalCanNeitherBeWrittenNorRemoved(t *testing.T) {
	for name, fail := range map[string]func(*faultyStore){
		"the disk is read-only": func(f *faultyStore) { f.set(syscall.EROFS, 0); f.keep(syscall.EROFS) },
		"the disk hangs":        func(f *faultyStore) { f.block(); f.stalled = true },
	} {
		t.Run(name, func(t *testing.T) {
			for _, crash := range []bool{true, false} {
				onStage(t, Config{}, func(s *stage) {
					e := at25(25)
					s.publish(e, 0, 10_000)
					fail(s.store)
					s.send(e.frames(10_000, 30_000))
					if h := s.server.Health(); h.OK {
						t.Error("the storage is said to be well")
					}
					if crash {
						was := s.lastMedia()
						s.crash()
						s.restart()
						if w := s.get(was.URL); w.Code != 404 {
							t.Errorf("after a crash, while the storage takes nothing: %d\n%s", w.Code, w.Body)
						}
						s.store.heal()
						s.pass(2 * time.Second)
						s.crash()
						s.restart()
						if w := s.get(was.URL); w.Code != 404 {
							t.Errorf("when the storage is well, later: %d\n%s", w.Code, w.Body)
						}
						return
					}
					s.store.heal()
					s.send(e.frames(30_000, 40_000))
					s.leave()
					s.accounts(s.report())
					if lost := s.server.Metrics().SegmentsLost.Load(); lost != 0 {
						t.Errorf("%d segments were lost", lost)
					}
					was := s.lastMedia()
					s.crash()
					s.restart()
					if w := s.get(was.URL); w.Body.String() != string(was.Body) {
						t.Errorf("after a crash when it was well again: %d\n%s\nwas\n%s", w.Code, w.Body, was.Body)
					}
				})
			}
		})
	}
}

func TestADiskThatStandsStillForHalfASecondCostsNoJournal(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		store := &countingStore{faultyStore: s.store}
		s.serveFrom(store)
		e := at25(25)
		s.publish(e, 0, 10_000)
		s.store.set(nil, 400*time.Millisecond)
		s.send(e.frames(10_000, 12_000))
		s.store.set(nil, 0)
		s.send(e.frames(12_000, 20_000))
		s.leave()
		s.accounts(s.report())

		if store.removed != 0 {
			t.Errorf("the journal was removed %d times", store.removed)
		}
	})
}

func TestASlowDiskDoesNotMakeAndRemoveTheJournalAgainAndAgain(t *testing.T) {
	for _, store := range []*countingStore{
		{took: 0},
		{took: 700 * time.Millisecond}, // the journal, when it is made anew
	} {
		for _, all := range []time.Duration{0, 160 * time.Millisecond, 500 * time.Millisecond, time.Second} {
			onStage(t, Config{}, func(s *stage) {
				store.faultyStore, store.removed = s.store, 0
				s.serveFrom(store)
				e := at25(25)
				s.publish(e, 0, 10_000)
				s.store.set(nil, 3*time.Second)
				s.send(e.frames(10_000, 12_000))
				s.store.set(nil, all)
				s.send(e.frames(12_000, 112_000))
				if store.removed > 3 {
					t.Errorf("a write takes %v, making the journal %v more: it was removed %d times", all, store.took, store.removed)
				}
				s.store.set(nil, 0)
			})
		}
	}
}

func TestAGracefulStopLeavesTheJournalHoweverSlowTheDisk(t *testing.T) {
	for _, long := range []bool{true, false} { // whether it was slow before the stop
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.publish(e, 0, 20_000)
			s.store.set(nil, 1600*time.Millisecond)
			if long {
				s.send(e.frames(20_000, 40_500))
				if s.journals() != 0 {
					t.Error("the disk is not slow enough for the test to show something")
				}
			}
			s.look()
			was := s.lastMedia()
			s.server.Stop()
			s.sink.End()
			s.sink.Close()
			s.sink = nil
			time.Sleep(2500 * time.Millisecond)
			if !long && s.journals() != 1 {
				t.Error("the journal is removed while the server ends")
			}
			s.stop()
			s.server, s.store = nil, storeOf(t, contents(t, s.store.Memory))
			s.restart()
			w := s.get(was.URL)
			if w.Code != 200 || len(uris(w.Body.String())) < 6 {
				t.Errorf("slow before: %t: after a stop and a start: %d\n%s", long, w.Code, w.Body)
			}
		})
	}
}

func TestAnEndThatCouldNotBeWrittenDownIsNotTakenBack(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_000)
		s.leave()
		s.store.set(syscall.ENOSPC, 0)
		s.sink.Close()
		s.look()
		ended := s.lastMedia()
		if !strings.HasSuffix(string(ended.Body), "#EXT-X-ENDLIST\n") {
			t.Fatalf("no end:\n%s", ended.Body)
		}
		s.sink = nil
		s.crash()
		s.restart()
		s.publish(e, 10_040, 20_000)
		s.leave()
		if s.lastMedia().URL == ended.URL {
			t.Error("a playlist that had ended went on")
		}
	})
}

func TestADiskThatIsSlowForAWhileGetsItsJournalAgain(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_000)
		s.store.set(nil, 1200*time.Millisecond)
		s.send(e.frames(10_000, 40_000))
		if s.journals() != 0 {
			t.Error("there is a journal")
		}
		s.store.set(nil, 0)
		s.send(e.frames(40_000, 44_000))
		was := s.lastMedia()
		if s.journals() != 1 {
			t.Error("there is no journal")
		}
		s.crash()
		s.restart()
		if w := s.get(was.URL); w.Body.String() != string(was.Body) {
			t.Errorf("%d\n%s\nwas\n%s", w.Code, w.Body, was.Body)
		}
		s.publish(e, 44_040, 50_000)
		s.leave()
		s.report()
	})
}

// TestWhateverFailsAndWheneverItIsKilledNoPlaylistGoesBack has the storage fail in all ways, one after
// the other and at random moments, in all of which the process may die.
func TestWhateverFailsAndWheneverItIsKilledNoPlaylistGoesBack(t *testing.T) {
	faults := []func(f *faultyStore){
		func(f *faultyStore) {},
		func(f *faultyStore) { f.failing = syscall.ENOSPC },
		func(f *faultyStore) { f.failing, f.onlyPut = syscall.ENOSPC, true },
		func(f *faultyStore) { f.failing, f.keeping = syscall.EROFS, syscall.EROFS },
		func(f *faultyStore) { f.slow = 250 * time.Millisecond },
		func(f *faultyStore) { f.slow = 700 * time.Millisecond },
		func(f *faultyStore) { f.slow = 5 * time.Second },
		func(f *faultyStore) { f.stuck = make(chan struct{}) },
		func(f *faultyStore) { f.stuck, f.stalled = make(chan struct{}), true },
	}
	for seed := range uint64(3) {
		onStage(t, Config{}, func(s *stage) {
			r := rand.New(rand.NewPCG(seed, 7))
			e := at25(25)
			e.size, e.asc = 40, nil
			continued := 0
			for range 25 {
				from := r.Int64N(100_000)
				s.publish(e, from, from+1_000+r.Int64N(9_000))
				for at := s.now(); r.IntN(4) > 0; at = s.now() {
					s.store.heal()
					s.store.mu.Lock()
					faults[r.IntN(len(faults))](s.store)
					s.store.mu.Unlock()
					s.send(e.frames(at+40, at+40+r.Int64N(12_000)))
				}
				var was string
				if len(s.history.Media) > 0 {
					was = s.lastMedia().URL
				}
				beyond := s.sink != nil && s.isBeyond()
				s.crash()
				if beyond { // or else what docs/journal.md says remains
					s.store.failing, s.store.keeping = syscall.EROFS, syscall.EROFS
				}
				s.restart()
				if s.store.keeping != nil || s.store.stalled { // nothing is taken up, and goes when it can
					s.store.heal()
					s.pass(2 * time.Second)
				}
				if w := s.get("/live/test/index.m3u8"); w.Code == 200 && strings.Contains(was, uris(w.Body.String())[0]) {
					continued++
				}
			}
			if continued < 5 || continued > 20 {
				t.Errorf("seed %d: %d of 25 runs were continued: too few or too many were given up to prove something", seed, continued)
			}
			s.look()
			s.report("segment-late", "window-too-short", "playlist-unavailable", "endlist-missing", "discontinuity-needless", "date-inconsistent", "date-not-now", "segment-unavailable", "date-went-back")
		})
	}
}

// isBeyond reports whether more is listed than a journal says that could not be removed.
func (s *stage) isBeyond() bool {
	synctest.Wait()
	w := &s.channel().writer.journal.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.beyond
}

// now is the media time.
func (s *stage) now() int64 { return time.Since(s.began).Milliseconds() }

// countingStore counts the journal's removals, and takes longer to make it.
type countingStore struct {
	*faultyStore
	took    time.Duration
	removed int
}

func (c *countingStore) Put(ctx context.Context, name string, parts [][]byte) error {
	if path.Base(name) == journalName {
		time.Sleep(c.took)
	}
	return c.faultyStore.Put(ctx, name, parts)
}

func (c *countingStore) Remove(name string) error {
	if path.Base(name) == journalName {
		c.mu.Lock()
		c.removed++
		c.mu.Unlock()
	}
	return c.faultyStore.Remove(name)
}

// serveFrom starts the server anew with a storage.
func (s *stage) serveFrom(store Storage) {
	s.stop()
	config := s.config
	config.Storage = store
	s.server = NewServer(config)
}

// takingStore removes the journal, as a listing that cannot wait does, while a journal is put there.
type takingStore struct {
	*faultyStore
	take func(before bool)
}

func (f *takingStore) Put(ctx context.Context, name string, parts [][]byte) error {
	f.take(true)
	err := f.faultyStore.Put(ctx, name, parts)
	f.take(false)
	return err
}

func TestAJournalThatIsRemovedWhileItIsWrittenIsNotTakenForWhole(t *testing.T) {
	for _, early := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store := &takingStore{faultyStore: &faultyStore{Memory: storage.NewMemory(0)}, take: func(bool) {}}
			j := journal{storage: store, name: "live/test/0/journal", opening: opening{Version: journalVersion}}
			at := func(n uint64) entry {
				return entry{Sequence: n, URI: segmentURI(n, "0123abcd"), Duration: 1, Target: 2, Size: 188}
			}
			if err := j.add(t.Context(), at(0), 0, 0); err != nil {
				t.Fatal(err)
			}
			j.close()
			store.take = func(before bool) {
				if before == early && j.witness.mustRemove(2) {
					j.witness.takeBack(store, j.name, slog.New(slog.DiscardHandler))
				}
			}
			err := j.add(t.Context(), at(1), 0, 0)
			if err == nil || j.file != nil {
				t.Errorf("the journal is said to be whole: %v", err)
			}
			if ok, _ := j.witness.allows(3); ok {
				t.Error("segment 2 may be listed while a journal may be there that ends with segment 1")
			}
			store.take = func(bool) {}
			if err := j.add(t.Context(), at(2), 0, 0); err != nil {
				t.Error(err)
			}
			text, err := readBlob(store, j.name, maxJournal)
			if err != nil || bytes.Count(text, []byte("\n")) != 4 {
				t.Errorf("%v\n%s", err, text)
			}
			if ok, _ := j.witness.allows(3); !ok {
				t.Error("segment 2 may not be listed when it is written down")
			}
		})
	}
}
