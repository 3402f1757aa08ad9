package hls

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/storage"
)

// remains are what a channel has left: its blobs, and the playlist after each record.
type remains struct {
	blobs     map[string][]byte
	folder    string
	journal   []byte
	playlists []string // after the first, second, … segment
}

// crashed publishes ms of video and returns what is left of it.
func crashed(t *testing.T, ms int64) remains {
	t.Helper()
	var r remains
	onStage(t, Config{Window: 3}, func(s *stage) {
		e := at25(5)
		e.frame, e.size, e.asc = 200, 8, nil
		s.publish(e, 0, 5_400)
		s.leave()
		s.publish(e, 5_600, ms)
		s.look()
		r.folder = strings.TrimPrefix(path.Dir(s.lastMedia().URL), "/")
		for _, v := range s.history.Media {
			r.playlists = append(r.playlists, string(v.Body))
		}
		s.crash()
		r.blobs = contents(t, s.store)
	})
	r.journal = r.blobs[r.folder+"/"+journalName]
	return r
}

// revived returns the media playlist that the next process serves if the journal is
// that text, "" if the channel is not continued, and the sequence number with which a
// publisher would go on.
func (r *remains) revived(t *testing.T, journal []byte) (playlist string, next uint64) {
	t.Helper()
	store := storage.NewMemory(0)
	for name, content := range r.blobs {
		if name == r.folder+"/"+journalName {
			content = journal
		}
		if err := store.Put(context.Background(), name, [][]byte{content}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{Window: 3, Storage: store})
		if err := s.Restore(); err != nil {
			t.Fatal(err)
		}
		if n := s.byName[testName]; n != nil {
			c := n.all[0]
			if p := c.published.Load(); p != nil && p.media != nil {
				playlist = string(p.media.body)
			}
			if s.NewSink(testName) != c {
				t.Error("the channel was not continued")
			}
			next = c.window.next
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return playlist, next
}

func TestAJournalCutAnywhereGivesThePlaylistOfItsLastWholeRecord(t *testing.T) {
	r := crashed(t, 14_000)
	ends := []int{}
	for i, b := range r.journal {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	if len(ends) != len(r.playlists)+1 {
		t.Fatalf("%d records and %d playlists", len(ends), len(r.playlists))
	}
	for cut := range len(r.journal) + 1 {
		whole, _ := slices.BinarySearch(ends, cut+1) // records that end at or before it
		playlist, next := r.revived(t, r.journal[:cut])
		segments := whole - 1
		if segments < 1 {
			if playlist != "" {
				t.Fatalf("cut at %d: no segment was listed, and there is a playlist:\n%s", cut, playlist)
			}
			continue
		}
		// What had left the window of a later playlist is gone, so a playlist from
		// before can only list what is still there.
		want := r.playlists[segments-1]
		if next != uint64(segments) || !strings.HasSuffix(want, tailOf(playlist)) {
			t.Fatalf("cut at %d of %d, behind %d segments: next is %d, and\n%s\nwant the end of\n%s", cut, len(r.journal), segments, next, playlist, want)
		}
		if segments == len(r.playlists) && playlist != want {
			t.Fatalf("cut at %d:\n%s\nwant\n%s", cut, playlist, want)
		}
	}
}

// tailOf returns the segments of a playlist.
func tailOf(playlist string) string {
	_, tail, _ := strings.Cut(playlist, "#EXT-X-PROGRAM-DATE-TIME")
	return tail
}

func TestADamagedJournalNeverMakesTheStreamGoBack(t *testing.T) {
	r := crashed(t, 14_000)
	continued := 0
	lastLine := bytes.LastIndexByte(r.journal[:len(r.journal)-1], '\n') + 1
	for at := range r.journal {
		damaged := bytes.Clone(r.journal)
		damaged[at] ^= []byte{1, 0x80, '\n' ^ 'a'}[at%3]
		playlist, next := r.revived(t, damaged)
		want := uint64(len(r.playlists))
		switch {
		case playlist == "" && next == 0:
			continue // not continued: a new address is always true
		case at == len(r.journal)-1:
			want-- // without its line feed the newest record looks unfinished
		case at >= lastLine:
			t.Fatalf("byte %d of the newest record was flipped, and the channel goes on with %d:\n%s", at, next, playlist)
		}
		if next != want {
			t.Fatalf("byte %d: next is %d, want %d", at, next, want)
		}
		if was := r.playlists[want-1]; !strings.HasSuffix(was, tailOf(playlist)) {
			t.Fatalf("byte %d:\n%s\nwas\n%s", at, playlist, was)
		}
		if at > bytes.IndexByte(r.journal, '\n') {
			continued++
		}
	}
	if continued < lastLine/2 {
		t.Errorf("the channel was continued for %d of %d damaged bytes", continued, lastLine)
	}
}

func TestTheJournalDoesNotGrowWithoutBound(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := &encoder{frame: 500, key: every(4), size: 8, sets: sets320}
		for from := int64(0); from < 3_600_000; from += 600_000 {
			e.size = 8
			if from == 0 {
				e.size = 2_000 // the peak, which the journal must keep when its segments have gone
			}
			s.publish(e, from, from+600_000)
			s.leave()
			for name, content := range contents(t, s.store) {
				if path.Base(name) == journalName && len(content) > 2*roomyJournal {
					t.Fatalf("the journal has %d bytes", len(content))
				}
			}
		}
		want := string(s.lastMedia().Body)
		index := s.get("/live/test/index.m3u8").Body.String()
		s.crash()
		s.restart()
		if got := string(s.lastMedia().Body); got != want {
			t.Errorf("was\n%s\nis\n%s", want, got)
		}
		if got := s.get("/live/test/index.m3u8").Body.String(); got != index {
			t.Errorf("was\n%s\nis\n%s", index, got)
		}
		if v, err := Verify(s.store, false); err != nil || v.Channels != 1 || v.Segments < 10 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// verifyWith verifies what was recorded after change has had its way with the blobs.
func (r *remains) verifyWith(t *testing.T, change func(blobs map[string][]byte, folder string)) (Verified, error) {
	t.Helper()
	blobs := map[string][]byte{}
	for name, content := range r.blobs {
		blobs[name] = bytes.Clone(content)
	}
	change(blobs, r.folder+"/")
	return Verify(storeOf(t, blobs).Memory, false)
}

func TestVerifyNamesTheFirstThingThatIsWrong(t *testing.T) {
	r := crashed(t, 14_000)
	listed := uris(r.playlists[len(r.playlists)-1])
	lines := bytes.SplitAfter(r.journal, []byte("\n"))
	edit := func(new ...[]byte) func(map[string][]byte, string) {
		return func(blobs map[string][]byte, folder string) { blobs[folder+journalName] = bytes.Join(new, nil) }
	}
	changed := bytes.Replace(lines[2], []byte(`"duration":180000`), []byte(`"duration":170000`), 1)
	rec, err := parseLine(bytes.TrimSuffix(lines[2], []byte("\n")))
	if err != nil {
		t.Fatal(err)
	}
	rec.Segment.Duration--
	forged := rec.appendLine(nil)
	for _, test := range []struct {
		name   string
		change func(blobs map[string][]byte, folder string)
		want   string
	}{
		{"nothing", func(map[string][]byte, string) {}, ""},
		{"an unfinished record", edit(r.journal, []byte("0123abcd {\"prev")), ""},
		{"a removed segment gone", func(b map[string][]byte, f string) {
			for name := range b {
				if strings.HasPrefix(name, f+"0-") {
					delete(b, name)
				}
			}
		}, ""},
		{"a listed segment gone", func(b map[string][]byte, f string) { delete(b, f+listed[1]) }, listed[1] + "): it is listed, and not there"},
		{"a segment changed", func(b map[string][]byte, f string) { b[f+listed[1]][500] ^= 1 }, listed[1] + "): its bytes are not those that were listed"},
		{"a segment cut", func(b map[string][]byte, f string) { b[f+listed[1]] = b[f+listed[1]][:188] }, listed[1] + "): it has 188 bytes"},
		{"a record changed", edit(lines[0], lines[1], changed, lines[3]), "record 3: the checksum is wrong"},
		{"a record forged", edit(lines[0], lines[1], forged, lines[3]), "record 4: the chain is broken"},
		{"a record left out", edit(lines[0], lines[1], lines[3]), "record 3: the chain is broken"},
		{"a record twice", edit(lines[0], lines[1], lines[1]), "record 3: the chain is broken"},
		{"the opening left out", edit(lines[1:]...), "record 1 is not the opening"},
		{"nothing but an opening", edit(lines[0]), "the journal holds no segment"},
		{"an empty journal", edit(), "the journal holds no segment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := r.verifyWith(t, test.change)
			switch {
			case test.want == "" && (err != nil || v.Channels != 1 || v.Listed != len(listed)):
				t.Errorf("%+v, %v", v, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), r.folder)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestAJournalOfAnotherStreamIsNotTaken(t *testing.T) {
	r := crashed(t, 6_000)
	v, err := r.verifyWith(t, func(blobs map[string][]byte, folder string) {
		for name, content := range blobs {
			delete(blobs, name)
			blobs[strings.Replace(name, "live/test", "live/other", 1)] = content
		}
	})
	if err == nil || !strings.Contains(err.Error(), "the journal is that of live/test") {
		t.Errorf("%+v, %v", v, err)
	}
}

// brokenAppender fails in the middle of a record, as a disk that becomes full.
type brokenAppender struct{ Appender }

func (brokenAppender) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestARecordThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	store := storage.NewMemory(0)
	j := journal{storage: &faultyStore{Memory: store}, name: "live/test/0/journal", opening: opening{Version: journalVersion}}
	at := func(sequence uint64) entry {
		return entry{Sequence: sequence, URI: segmentURI(sequence, "0123abcd"), Duration: 1, Target: 2, Size: 188}
	}
	ctx := context.Background()
	if err := errors.Join(j.add(ctx, at(0), 0, 0), j.add(ctx, at(1), 0, 0)); err != nil {
		t.Fatal(err)
	}
	j.file = brokenAppender{j.file}
	if err := j.add(ctx, at(2), 0, 0); err == nil {
		t.Fatal("no error")
	}
	if err := errors.Join(j.add(ctx, at(3), 0, 0), j.end(ctx, ending{})); err != nil {
		t.Fatal(err)
	}
	text, err := readBlob(&faultyStore{Memory: store}, j.name, maxJournal)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readJournal(text)
	if err != nil || got.fault != nil || len(got.entries) != 4 || got.entries[2].Sequence != 2 || got.ended == nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzReadJournal(f *testing.F) {
	e := entry{Sequence: 7, URI: "7-0123abcd.ts", Duration: 180_000, Target: 2, Size: 188, Codecs: "mp4a.40.2", DiscontinuitySequence: 1, Discontinuity: true}
	text := (&record{Open: &opening{Version: 1, Stream: "live/test", Incarnation: "0123456789abcdef"}}).appendLine(nil)
	text = (&record{Segment: &e}).appendLine(text)
	f.Add(text)
	last := lineDigest(text[bytes.IndexByte(text, '\n')+1:])
	f.Add((&record{Previous: last, End: &ending{Date: time.Unix(0, 0)}}).appendLine(bytes.Clone(text)))
	f.Add(text[:len(text)-5])
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := readJournal(text)
		if err != nil {
			return
		}
		// Whatever is believed can be written and read again, and is the same.
		j := journal{storage: &faultyStore{Memory: storage.NewMemory(0)}, name: "j", base: got.base, entries: got.entries, ended: got.ended}
		j.opening = opening{Version: journalVersion}
		if got.opening != nil {
			j.opening = *got.opening
		}
		if err := j.rewrite(context.Background()); err != nil {
			t.Fatal(err)
		}
		again, err := readBlob(j.storage, "j", 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		back, err := readJournal(again)
		if err != nil || back.fault != nil || len(back.entries) != len(got.entries) || back.torn != 0 {
			t.Fatalf("written again: %+v, %v", back, err)
		}
		for i, e := range got.entries {
			if i > 0 && e.Sequence != got.entries[i-1].Sequence+1 {
				t.Fatalf("segment %d behind %d", e.Sequence, got.entries[i-1].Sequence)
			}
		}
	})
}
