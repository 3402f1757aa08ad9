package hls

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/storage"
)

// retaining publishes for so long that the journal is large, and dies.
func retaining(s *stage) {
	e := &encoder{frame: 500, key: every(4), size: 40, sets: sets320}
	e.size = 2_000 // the peak, which only the totals know later
	s.publish(e, 0, 20_000)
	e.size = 40
	s.send(e.frames(20_000, 1_200_000))
	s.look()
}

func TestOfALargeJournalTheEndIsEnoughToServeAgainAndTheRestFollows(t *testing.T) {
	onStage(t, Config{Retain: Retention{Age: time.Hour}}, func(s *stage) {
		retaining(s)
		media, index := string(s.lastMedia().Body), s.get("/live/test/index.m3u8").Body.String()
		folder := path.Dir(s.lastMedia().URL)
		first := path.Base(firstSegmentOf(s, folder))
		s.crash()
		want := contents(s.t, s.store.Memory)
		s.start()
		if err := s.server.Restore(); err != nil {
			t.Fatal(err)
		}
		s.look()
		if got := string(s.lastMedia().Body); got != media {
			t.Errorf("was\n%s\nis\n%s", media, got)
		}
		if got := s.get("/live/test/index.m3u8").Body.String(); got != index {
			t.Errorf("was\n%s\nis\n%s", index, got)
		}
		synctest.Wait()
		if w := s.get(folder + "/" + first); w.Code != 200 {
			t.Errorf("the oldest segment: %d", w.Code)
		}
		if got := contents(s.t, s.store.Memory); len(got) != len(want) {
			t.Errorf("%d of %d blobs are left", len(got), len(want))
		}
		if used := s.server.Health().Used; used != sizeOfSegments(want) {
			t.Errorf("%d bytes are said to be stored, it is %d", used, sizeOfSegments(want))
		}
		// The next publication makes the journal anew, with all that is there.
		s.mark(hlscheck.ServerUp)
		s.sink = nil
		s.publish(at25(25), 0, 10_000)
		s.leave()
		v, err := Verify(s.store.Memory, true)
		if err != nil || v.Segments < 590 {
			t.Errorf("%+v, %v", v, err)
		}
		s.crash()
		s.restart()
		synctest.Wait()
		if w := s.get(folder + "/" + first); w.Code != 200 {
			t.Errorf("the oldest segment, after another crash: %d", w.Code)
		}
	})
}

// firstSegmentOf returns the oldest segment that is stored.
func firstSegmentOf(s *stage, folder string) string {
	for name := range contents(s.t, s.store.Memory) {
		if strings.HasPrefix("/"+name, folder+"/0-") {
			return name
		}
	}
	s.t.Fatal("segment 0 is not stored")
	return ""
}

func sizeOfSegments(blobs map[string][]byte) (n int64) {
	for name, content := range blobs {
		if path.Base(name) != journalName {
			n += int64(len(content))
		}
	}
	return n
}

func TestDamageAnywhereInALargeJournalNeverMakesTheStreamGoBack(t *testing.T) {
	var blobs map[string][]byte
	var media, name string
	onStage(t, Config{Retain: Retention{Age: time.Hour}}, func(s *stage) {
		retaining(s)
		media = string(s.lastMedia().Body)
		s.crash()
		blobs = contents(s.t, s.store.Memory)
	})
	for n := range blobs {
		if path.Base(n) == journalName {
			name = n
		}
	}
	journal := blobs[name]
	lastLine := bytes.LastIndexByte(journal[:len(journal)-1], '\n') + 1
	for _, at := range []int{10, 400, len(journal) / 2, len(journal) - journalEnd, len(journal) - 20_000, lastLine - 500, lastLine + 50, len(journal) - 1} {
		onStage(t, Config{Retain: Retention{Age: time.Hour}}, func(s *stage) {
			damaged := bytes.Clone(journal)
			damaged[at] ^= 1
			blobs[name] = damaged
			s.store = storeOf(t, blobs)
			s.stop()
			s.start()
			if err := s.server.Restore(); err != nil {
				t.Fatal(err)
			}
			w := s.get("/live/test/index.m3u8")
			switch {
			case at >= lastLine && at < len(journal)-1:
				if w.Code != 404 {
					t.Errorf("byte %d: the newest record is damaged, and there is a playlist", at)
				}
			case w.Code != 200:
				t.Errorf("byte %d: %d", at, w.Code)
			default:
				got := s.get("/live/test/" + uris(w.Body.String())[0]).Body.String()
				if at < lastLine && !strings.HasSuffix(media, tailOf(got)) {
					t.Errorf("byte %d: was\n%s\nis\n%s", at, media, got)
				}
			}
			synctest.Wait()
			if n := len(uris(media)); at < lastLine-10_000 && len(contents(t, s.store.Memory)) < n+1 {
				t.Errorf("byte %d: segments that are listed were removed", at)
			}
		})
	}
}

// meteredStore counts the bytes that are read of journals.
type meteredStore struct {
	*storage.Memory
	read atomic.Int64
}

type meteredBlob struct {
	Blob
	read *atomic.Int64
}

func (b meteredBlob) Read(p []byte) (int, error) {
	n, err := b.Blob.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (m *meteredStore) Open(name string) (Blob, error) {
	b, err := m.Memory.Open(name)
	if err == nil && path.Base(name) == journalName {
		b = meteredBlob{b, &m.read}
	}
	return b, err
}

// largeJournals fills a store with journals of so many records, of which only the newest have segments.
func largeJournals(t testing.TB, store Storage, streams, records int) (size int64) {
	t.Helper()
	for n := range streams {
		name := remux.StreamName(fmt.Sprintf("live/%d", n))
		folder := string(name) + "/" + newIncarnation(time.Unix(int64(n), 0))
		j := journal{storage: store, name: folder + "/" + journalName, opening: opening{Version: journalVersion, Stream: string(name), Incarnation: path.Base(folder)}}
		segment := bytes.Repeat([]byte{0x47}, 188)
		for i := range uint64(records) {
			s := segmentOf(segment)
			s.sequence, s.uri, s.head = i, segmentURI(i, "0123abcd"), max(i, 5)-5
			s.date, s.listed = time.Unix(1_700_000_000+2*int64(i), 0), time.Unix(1_700_000_001+2*int64(i), 0)
			s.totals = totals{Peak: 3_000_000, Bits: 1504 * (i + 1), Length: 180_000 * ticks(i+1)}
			s.description = description{codecs: "avc1.4d400c,mp4a.40.2", width: 1280, height: 720, frameRate: 30}
			j.entries = append(j.entries, s.entry())
			if i+20 >= uint64(records) {
				if err := store.Put(context.Background(), folder+"/"+s.uri, [][]byte{segment}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := j.rewrite(context.Background()); err != nil {
			t.Fatal(err)
		}
		size += j.size
		j.close()
	}
	return size
}

func segmentOf(data []byte) *segment {
	s := &segment{duration: 180_000, target: 2 * perSecond, size: int64(len(data)), independent: true}
	s.hash([][]byte{data})
	s.stored.Store(true)
	return s
}

func TestOfManyLargeJournalsLittleIsReadBeforeTheServerServes(t *testing.T) {
	store := &meteredStore{Memory: storage.NewMemory(0)}
	size := largeJournals(t, store, 50, 1_000)
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{Storage: store})
		s.cancel() // so that nothing follows in the background
		if err := s.Restore(); err != nil {
			t.Fatal(err)
		}
		if read := store.read.Load(); read > size/10 {
			t.Errorf("%d of %d bytes were read", read, size)
		}
		for n := range 50 {
			if p := s.current(remux.StreamName(fmt.Sprintf("live/%d", n))); p == nil || len(p.status.Segments) != 6 {
				t.Fatalf("stream %d is not served", n)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.Close(ctx)
	})
}

// BenchmarkRestoreOfLargeJournals says how long it takes to serve again.
func BenchmarkRestoreOfLargeJournals(b *testing.B) {
	const streams, records = 50, 10_000
	store, err := storage.OpenDir(b.TempDir(), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // of a test
	size := largeJournals(b, store, streams, records)
	defer func() { b.ReportMetric(float64(size)/streams/records, "B/record") }()
	for b.Loop() {
		s := NewServer(Config{Storage: store})
		if err := s.Restore(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Close(ctx)
		b.StartTimer()
	}
}
