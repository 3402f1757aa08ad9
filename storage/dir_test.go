package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/headwater-live/headwater/storage"
)

func TestDirReturnsFilesThatTheKernelCanSend(t *testing.T) {
	d := openDir(t, t.TempDir(), storage.Options{})
	if err := d.Put(t.Context(), "a", [][]byte{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	f, err := d.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.(*os.File); !ok {
		t.Errorf("Open returned a %T, want an *os.File", f)
	}
	if err := errors.Join(f.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

func TestDirDoesNotFollowLinksOutOfItsFolder(t *testing.T) {
	outside, inside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"file": secret, "folder": outside} {
		if err := os.Symlink(target, filepath.Join(inside, link)); err != nil {
			t.Fatal(err)
		}
	}
	d := openDir(t, inside, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	for _, name := range []string{"file", "folder/secret"} {
		if f, err := d.Open(name); err == nil {
			t.Errorf("Open(%q) followed the link", name)
			_ = f.Close()
		}
	}
	if err := d.Put(t.Context(), "folder/new", nil); err == nil {
		t.Error("Put followed the link")
	}
	if _, err := d.Append("file"); err == nil {
		t.Error("Append followed the link")
	}
	if err := d.Remove("folder/secret"); err == nil {
		t.Error("Remove followed the link")
	}
	if err := d.RemoveAll("folder"); err != nil {
		t.Error(err)
	}
	if blobs, err := d.List("."); err != nil || len(blobs) != 0 {
		t.Errorf("List found %v, %v", blobs, err)
	}
	if err := d.RemoveAll("."); err != nil {
		t.Error(err)
	}
	wantFiles(t, outside, "secret")
	wantFiles(t, inside)
}

func TestDirDoesNotWaitForANamedPipe(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	if _, err := d.Open("pipe"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a pipe: %v", err)
	}
}

// The child process of the test below: it puts a blob and stops for ever in the middle of it.
const crashFolder = "STORAGE_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(crashFolder); folder != "" {
		d, err := storage.OpenDir(folder, storage.Options{})
		if err != nil {
			panic(err)
		}
		big := bytes.Repeat([]byte("x"), 3<<20)
		err = d.Put(&stall{Context: context.Background()}, "live/test/1.ts", [][]byte{big})
		panic(fmt.Sprint("the put ended: ", err))
	}
	os.Exit(m.Run())
}

// stall is a context that stands still when it is asked the second time: after the first megabyte.
type stall struct {
	context.Context
	asked int
}

func (s *stall) Err() error {
	if s.asked++; s.asked == 2 {
		fmt.Println("stalled")
		select {}
	}
	return nil
}

func TestDirSweepsWhatAKilledProcessLeft(t *testing.T) {
	folder := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashFolder+"="+folder)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("stalled"))
	if _, err := out.Read(line); err != nil || string(line) != "stalled" {
		t.Errorf("the child says %q, %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = child.Wait() // it was killed, which is an error

	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	left := files(t, folder)
	if len(left) != 1 || !strings.HasPrefix(left[0], "live/test/.") {
		t.Fatalf("the child left %q, want one unfinished file", left)
	}
	if blobs, err := d.List("."); err != nil || len(blobs) != 0 {
		t.Errorf("List shows the unfinished file: %v, %v", blobs, err)
	}
	if err := d.Put(t.Context(), "live/test/2.ts", nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if n, err := d.Sweep(); n != want || err != nil {
			t.Errorf("Sweep removed %d, %v; want %d", n, err, want)
		}
	}
	wantFiles(t, folder, "live/test/2.ts")
}

// files lists the regular files beneath a folder, hidden ones too, past the store.
func files(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	if got := files(t, folder); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files: %q, want %q", got, want)
	}
}

func BenchmarkDirPut(b *testing.B) {
	// A segment of 2 s at 2.6 Mbit/s, against the least that a file costs.
	part := bytes.Repeat([]byte("x"), 64<<10)
	parts := [][]byte{part, part, part, part, part, part, part, part, part, part}
	size := int64(len(parts) * len(part))
	b.Run("put", func(b *testing.B) {
		d, err := storage.OpenDir(b.TempDir(), storage.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
		for b.Loop() {
			if err := d.Put(b.Context(), "live/test/segment.ts", parts); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline-create-write-close", func(b *testing.B) {
		name := filepath.Join(b.TempDir(), "segment.ts")
		whole := bytes.Join(parts, nil)
		b.SetBytes(size)
		for b.Loop() {
			if err := os.WriteFile(name, whole, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Somebody gives a folder in use another name: what comes goes to one place, the old name, journal and segments
// alike. So it does where the store's own folder is renamed: there to the new one.
func TestDirKeepsTogetherWhatIsWrittenWhenAFolderIsRenamed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	d, err := storage.OpenDir(folder, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // of a test
	add := func() error {
		t.Helper()
		a, err := d.Append("live/test/journal")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close() //nolint:errcheck // of a test
		if _, err := a.Write([]byte("one")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(folder, "live", "test"), filepath.Join(folder, "live", "other")); err != nil {
			t.Fatal(err)
		}
		if err := d.Put(t.Context(), "live/test/segment", [][]byte{[]byte("two")}); err != nil {
			t.Fatal(err)
		}
		_, err = a.Write([]byte("three"))
		return err
	}
	if err := add(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record went to the folder that was renamed, the segment did not: %v", err)
	}
	a, err := d.Append("live/test/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close() //nolint:errcheck // of a test
	if err := os.Rename(folder, folder+".old"); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "live/test/segment", [][]byte{[]byte("four")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("five")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"segment": "four", "journal": "five"} {
		if got, err := os.ReadFile(filepath.Join(folder+".old", "live", "test", name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
