package hls

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/storage"
)

// openCounter counts what is opened of a folder.
type openCounter struct {
	*storage.Dir
	opened atomic.Int64
}

func (o *openCounter) Open(name string) (Blob, error) {
	o.opened.Add(1)
	return o.Dir.Open(name)
}

// inFiles is a stage whose storage is a folder.
type inFiles struct {
	*stage
	folder string
	store  *openCounter
}

// onFiles runs a test in a bubble, with a stream of 20 s that is still being published.
func onFiles(t *testing.T, test func(*inFiles)) {
	t.Helper()
	folder := t.TempDir()
	dir, err := storage.OpenDir(folder, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &inFiles{stage: &stage{t: t, latest: map[string]int{}}, folder: folder, store: &openCounter{Dir: dir}}
		f.history.Segments = map[string][]byte{}
		f.server = NewServer(Config{Storage: f.store})
		defer f.stop()
		f.publish(at25(25), 0, 20_020)
		test(f)
	})
	if err := dir.Close(); err != nil {
		t.Error(err)
	}
	if open := openBeneath(t, folder); len(open) != 0 {
		t.Errorf("still open: %v", open)
	}
}

// openBeneath returns the names of the segments that this process has open in a folder.
func openBeneath(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, err := os.Readlink("/proc/self/fd/" + e.Name())
		name = strings.TrimSuffix(name, " (deleted)")
		if err == nil && strings.HasPrefix(name, folder) && strings.HasSuffix(name, segmentSuffix) {
			names = append(names, name)
		}
	}
	return names
}

// listed returns the paths of the segments in the playlist.
func (f *inFiles) listed() (paths []string) {
	f.look()
	v := f.lastMedia()
	for _, uri := range uris(string(v.Body)) {
		paths = append(paths, v.URL[:strings.LastIndexByte(v.URL, '/')+1]+uri)
	}
	return paths
}

// stored returns what is in the file of a segment.
func (f *inFiles) stored(path string) []byte {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.folder, path))
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func TestASegmentIsOpenedOnceForAllRequests(t *testing.T) {
	onFiles(t, func(f *inFiles) {
		paths := f.listed()
		before := f.store.opened.Load()
		for range 3 {
			for _, path := range paths {
				if w := f.get(path); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), f.stored(path)) {
					t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
				}
				part := f.get(path, "Range", "bytes=188-375")
				if part.Code != 206 || !bytes.Equal(part.Body.Bytes(), f.stored(path)[188:376]) {
					t.Errorf("part of %s: %d, %d bytes", path, part.Code, part.Body.Len())
				}
			}
		}
		// To look at the playlist has opened them.
		if n := f.store.opened.Load() - before; n != 0 {
			t.Errorf("%d more were opened for %d requests", n, 6*len(paths))
		}
		f.leave()
	})
}

func TestAFileIsClosedWhenItsSegmentGoes(t *testing.T) {
	onFiles(t, func(f *inFiles) {
		first := f.listed()[0]
		want := f.stored(first)
		if w := f.get(first); w.Code != 200 {
			t.Fatal(w.Code)
		}
		late, err := f.channel().open(f.channel().window.listed[0])
		if err != nil {
			t.Fatal(err)
		}
		begun := make([]byte, len(want)/2)
		if _, err := io.ReadFull(late, begun); err != nil {
			t.Fatal(err)
		}
		f.leave()
		f.sink.Close()
		f.pass(time.Minute)
		if w := f.get(first); w.Code != 404 {
			t.Errorf("a removed segment is answered with %d", w.Code)
		}
		if open := openBeneath(t, f.folder); len(open) != 1 || filepath.Join(f.folder, first) != open[0] {
			t.Errorf("open while the first segment is being read: %v", open)
		}
		rest, err := io.ReadAll(late)
		if err != nil || !bytes.Equal(append(begun, rest...), want) {
			t.Errorf("whoever reads a segment that goes gets %d bytes of %d, %v", len(begun)+len(rest), len(want), err)
		}
		if err := late.Close(); err != nil {
			t.Error(err)
		}
		if open := openBeneath(t, f.folder); len(open) != 0 {
			t.Errorf("still open: %v", open)
		}
	})
}

func TestNoMoreFilesStayOpenThanMay(t *testing.T) {
	onFiles(t, func(f *inFiles) {
		paths := f.listed()
		f.server.files.close()
		for most := range 3 {
			f.server.files.closed, f.server.files.max = false, most
			for range 2 {
				for _, path := range paths {
					if w := f.get(path); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), f.stored(path)) {
						t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
					}
				}
			}
			if open := openBeneath(t, f.folder); len(open) != most {
				t.Errorf("%d are open, want %d", len(open), most)
			}
		}
		f.leave()
	})
}

func TestManyRequestsAtOnceShareFilesAndLeaveNoneOpen(t *testing.T) {
	onFiles(t, func(f *inFiles) {
		paths := f.listed()
		f.server.files.close()
		f.server.files.closed, f.server.files.max = false, 2
		var wg sync.WaitGroup
		const viewers, rounds = 8, 50
		for viewer := range viewers {
			wg.Go(func() {
				for i := range rounds {
					path := paths[(viewer+i)%len(paths)]
					w := httptest.NewRecorder()
					f.server.ServeFile(w, httptest.NewRequest("GET", path, nil), testName, f.channel().incarnation, filepath.Base(path))
					if w.Code != 200 || w.Body.Len() != len(f.stored(path)) {
						f.t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
					}
				}
			})
		}
		wg.Wait()
		f.server.Close(context.Background())
		if open := openBeneath(t, f.folder); len(open) != 0 {
			t.Errorf("open after the end: %v", open)
		}
		if w := f.get(paths[0]); w.Code != 200 {
			t.Errorf("while the listener closes: %d", w.Code)
		}
		if open := openBeneath(t, f.folder); len(open) != 0 {
			t.Errorf("kept open after the end: %v", open)
		}
	})
}

func TestASegmentThatWasCutShortIsNotServed(t *testing.T) {
	onFiles(t, func(f *inFiles) {
		first := f.listed()[0]
		f.server.files.forget(f.channel().window.listed[0])
		if err := os.Truncate(filepath.Join(f.folder, first), 188); err != nil {
			t.Fatal(err)
		}
		if w := f.get(first); w.Code != 503 {
			t.Errorf("answered with %d, %d bytes", w.Code, w.Body.Len())
		}
		f.leave()
	})
}
