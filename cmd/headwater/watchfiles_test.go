package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// watched is a file that a fileWatch follows in the time of a test.
type watched struct {
	t       *testing.T
	file    string
	changes atomic.Int32
	log     lockedBuffer
}

// followFile runs test beside a fileWatch that is told by told alone.
func followFile(t *testing.T, told notices, test func(*watched)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{t: t, file: filepath.Join(t.TempDir(), "file")}
	w.write("first")
	logger, _ := newLogger(&w.log, config.Default().Log)
	watch := newFileWatch(w.file)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch.follow(ctx, told, logger, func() { w.changes.Add(1) })
	}()
	time.Sleep(time.Second) // the look at the start is over
	synctest.Wait()
	if w.changes.Load() != 0 {
		t.Errorf("%d changes at the start", w.changes.Load())
	}
	test(w)
	cancel()
	<-ended
}

func (w *watched) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// after returns how many changes were noticed when some time has passed.
func (w *watched) after(d time.Duration) int {
	time.Sleep(d)
	synctest.Wait()
	return int(w.changes.Load())
}

// TestFaultsOfTheWatcherAreReadAndLookedInto: the watcher waits until somebody has read its fault, and what it would have
// told of is lost.
func TestFaultsOfTheWatcherAreReadAndLookedInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := make(chan error)
		followFile(t, notices{make(chan fsnotify.Event), faults}, func(w *watched) {
			w.write("second")
			for range 3 {
				select {
				case faults <- fsnotify.ErrEventOverflow:
				case <-time.After(time.Minute / 2):
					t.Fatal("a fault was not read")
				}
			}
			if n := w.after(time.Second); n != 1 {
				t.Errorf("%d changes were noticed soon after a fault", n)
			}
			if !strings.Contains(w.log.String(), "may have been missed") || !strings.Contains(w.log.String(), "overflow") {
				t.Errorf("not said: %s", w.log.String())
			}
			select {
			case faults <- errors.New("another"):
			case <-time.After(time.Minute / 2):
				t.Fatal("a later fault was not read")
			}
			if n := w.after(time.Second); n != 1 {
				t.Errorf("%d changes where there was one", n)
			}
		})
	})
}

func TestAWatcherThatEndsIsLookedInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, faults := make(chan fsnotify.Event), make(chan error)
		followFile(t, notices{events, faults}, func(w *watched) {
			w.write("second")
			close(events)
			close(faults)
			if n := w.after(time.Second); n != 1 {
				t.Errorf("%d changes were noticed", n)
			}
			w.write("third")
			if n := w.after(lookAnyway + time.Second); n != 2 {
				t.Errorf("%d changes were noticed later", n)
			}
		})
	})
}

// TestWhatNothingTellsOfIsNoticedWithinAMinute: a network file system has no notices.
func TestWhatNothingTellsOfIsNoticedWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		followFile(t, notices{}, func(w *watched) {
			w.write("second")
			if n := w.after(lookAnyway + time.Second); n != 1 {
				t.Errorf("%d changes were noticed of a file that was written", n)
			}
			if err := os.Remove(w.file); err != nil {
				t.Fatal(err)
			}
			if n := w.after(lookAnyway + time.Second); n != 2 {
				t.Errorf("%d changes were noticed of a file that is gone", n)
			}
			w.write("second")
			if n := w.after(lookAnyway + time.Second); n != 3 {
				t.Errorf("%d changes were noticed of a file that is back", n)
			}
			if n := w.after(time.Hour); n != 3 {
				t.Errorf("%d changes where nothing changed", n)
			}
		})
	})
}

// TestAFileThatIsBeingWrittenIsNotRead: it is looked at until it stays as it is.
func TestAFileThatIsBeingWrittenIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan fsnotify.Event)
		followFile(t, notices{events, nil}, func(w *watched) {
			for n := range 20 {
				w.write(strings.Repeat("x", n))
				events <- fsnotify.Event{}
				if n := w.after(settleTime * 9 / 10); n != 0 {
					t.Fatal("it was read while it was written")
				}
			}
			if n := w.after(time.Second); n != 1 {
				t.Errorf("%d changes were noticed", n)
			}
		})
	})
}

// TestAModeThatWasMendedIsNoticed, though the content is the same: a file of secrets that others can read is refused.
func TestAModeThatWasMendedIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		followFile(t, notices{}, func(w *watched) {
			for n, mode := range []os.FileMode{0o644, 0o600} {
				if err := os.Chmod(w.file, mode); err != nil {
					t.Fatal(err)
				}
				if got := w.after(lookAnyway + time.Second); got != n+1 {
					t.Errorf("%d changes were noticed with mode %o", got, mode)
				}
			}
		})
	})
}
