package storagetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/headwater-live/headwater/storage"
)

func appendTo(t *testing.T, s Store, name string) storage.Appender {
	t.Helper()
	a, err := s.Append(name)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	t.Cleanup(func() { _ = a.Close() }) // some tests close it themselves
	return a
}

func write(t *testing.T, w io.Writer, record string) {
	t.Helper()
	if n, err := io.WriteString(w, record); err != nil || n != len(record) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func appendToRemovedFails(t *testing.T, s Store) {
	a := appendTo(t, s, "live/test/journal")
	write(t, a, "one\n")
	if err := s.RemoveAll("live"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(a, "two\n"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record for a blob that was removed: %v", err)
	}
	wantNames(t, s, ".", "")
}

func appendGrows(t *testing.T, s Store) {
	a := appendTo(t, s, "live/test/journal")
	wantNames(t, s, ".", "live/test/journal:0")
	write(t, a, "one\n")
	reader := open(t, s, "live/test/journal")
	if got := content(t, reader); got != "one\n" {
		t.Errorf("after the first record: %q", got)
	}
	write(t, a, "two\n")
	if got := content(t, reader); got != "two\n" {
		t.Errorf("an open reader goes on with %q", got)
	}
	if err := a.Sync(); err != nil {
		t.Errorf("sync: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantContent(t, s, "live/test/journal", "one\ntwo\n")
}

func appendTruncates(t *testing.T, s Store) {
	a := appendTo(t, s, "j")
	write(t, a, "one\ntwo\nthr")
	if err := a.Truncate(8); err != nil {
		t.Fatalf("truncate: %v", err)
	}
	wantContent(t, s, "j", "one\ntwo\n")
	write(t, a, "three\n")
	wantContent(t, s, "j", "one\ntwo\nthree\n")
	if err := a.Truncate(16); err != nil {
		t.Fatalf("truncate to more: %v", err)
	}
	wantContent(t, s, "j", "one\ntwo\nthree\n\x00\x00")
	if err := a.Truncate(-1); err == nil {
		t.Error("truncate to -1: no error")
	}
	wantNames(t, s, ".", "j:16")
}

func appendReopens(t *testing.T, s Store) {
	put(t, s, "j", "one\n")
	a := appendTo(t, s, "j")
	write(t, a, "two\n")
	b := appendTo(t, s, "j")
	write(t, b, "three\n")
	wantContent(t, s, "j", "one\ntwo\nthree\n")

	// A journal is compacted by a Put over it; the old handle is of no use any more.
	put(t, s, "j", "compact\n")
	_, err := io.WriteString(a, "lost\n")
	wantError(t, err, fs.ErrNotExist)
	wantContent(t, s, "j", "compact\n")
}

func closedHandles(t *testing.T, s Store) {
	put(t, s, "a", "x")
	f := open(t, s, "a")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.Read(make([]byte, 1))
	wantError(t, err, fs.ErrClosed)
	_, err = f.Seek(0, io.SeekStart)
	wantError(t, err, fs.ErrClosed)
	wantError(t, f.Close(), fs.ErrClosed)
	if _, err := f.Stat(); err == nil {
		t.Error("stat of a closed file: no error")
	}

	a := appendTo(t, s, "a")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = a.Write([]byte("y"))
	wantError(t, err, fs.ErrClosed)
	wantError(t, a.Truncate(0), fs.ErrClosed)
	wantError(t, a.Sync(), fs.ErrClosed)
	wantError(t, a.Close(), fs.ErrClosed)
	wantContent(t, s, "a", "x")
}

func spaceIsTold(t *testing.T, s Store) {
	space, err := s.Space()
	if err != nil {
		t.Fatal(err)
	}
	if space.Total <= 0 || space.Free < 0 || space.Free > space.Total {
		t.Errorf("space: %d of %d bytes are free", space.Free, space.Total)
	}
}

// everythingAtOnce has writers, readers and removers on the same few names. Whatever a reader finds is whole.
func everythingAtOnce(t *testing.T, s Store) {
	const rounds, names = 200, 3
	name := func() string { return "live/" + strconv.Itoa(rand.IntN(names)) + "/blob" }
	// A blob is a number of equal bytes, which says how many there must be.
	blob := func() [][]byte {
		n := 1 + rand.IntN(255)
		whole := bytes.Repeat([]byte{byte(n)}, n*64)
		cut := rand.IntN(len(whole))
		return [][]byte{whole[:cut], whole[cut:]}
	}
	tolerate := func(err error) {
		// A Put may lose its folder to a RemoveAll, and a name may go away at any time.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	var wg sync.WaitGroup
	work := func(step func()) {
		wg.Go(func() {
			for range rounds {
				step()
			}
		})
	}
	for range 2 {
		work(func() { tolerate(s.Put(t.Context(), name(), blob())) })
		work(func() {
			f, err := s.Open(name())
			if err != nil {
				tolerate(err)
				return
			}
			data, err := io.ReadAll(f)
			tolerate(errors.Join(err, f.Close()))
			if len(data) == 0 || len(data) != int(data[0])*64 || bytes.Count(data, data[:1]) != len(data) {
				t.Errorf("a reader found a blob of %d bytes that nobody put", len(data))
			}
		})
	}
	work(func() { tolerate(s.Remove(name())) })
	work(func() { tolerate(s.RemoveAll("live/" + strconv.Itoa(rand.IntN(names)))) })
	work(func() {
		_, err := s.List(".")
		tolerate(err)
	})
	work(func() {
		a, err := s.Append("journal")
		if err != nil {
			t.Error(err)
			return
		}
		_, err = a.Write([]byte("record\n"))
		tolerate(errors.Join(err, a.Close()))
	})
	wg.Wait()
	f := open(t, s, "journal")
	if got := content(t, f); got != string(bytes.Repeat([]byte("record\n"), rounds)) {
		t.Errorf("the journal has %d bytes, want %d whole records", len(got), rounds)
	}
}
