package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// window waits until a window is in force.
func (r *reloadable) window(n int) {
	r.t.Helper()
	eventually(r.t, "a window of "+strconv.Itoa(n), func() bool { return r.cfg().HLS.Window == n })
}

func TestAFileThatIsReplacedIsRead(t *testing.T) {
	r := newReloadable(t, "hls.window: 6\n")
	for n := 7; n < 10; n++ {
		r.write("hls.window: " + strconv.Itoa(n) + "\n")
		r.window(n)
	}
}

// TestAMountedConfigMapIsRead has links as Kubernetes makes them: the file is a link through ..data, which is a link to
// a folder, and is renamed over.
func TestAMountedConfigMapIsRead(t *testing.T) {
	folder := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(folder, "..1"), 0o700))
	must(os.Symlink("..1", filepath.Join(folder, "..data")))
	file := filepath.Join(folder, "headwater.yaml")
	r := runReloadable(t, file, "hls.window: 6\n") // which makes a file of it
	publish := func(version, lines string) {
		t.Helper()
		must(os.MkdirAll(filepath.Join(folder, version), 0o700))
		must(os.WriteFile(filepath.Join(folder, version, "headwater.yaml"), []byte(r.base+lines), 0o600))
		must(os.Symlink(version, filepath.Join(folder, "..data_tmp")))
		must(os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
	}
	publish("..2", "hls.window: 7\n")
	must(os.Symlink(filepath.Join("..data", "headwater.yaml"), file+".link"))
	must(os.Rename(file+".link", file))
	r.window(7)
	publish("..3", "hls.window: 8\n")
	must(os.RemoveAll(filepath.Join(folder, "..2")))
	r.window(8)
	publish("..4", "hls.window: 9\n")
	r.window(9)
}

func TestAHalfWrittenFileChangesNothing(t *testing.T) {
	r := newReloadable(t, "hls.window: 6\nflv.enabled: false\n")
	refusedFor := func(reason string) {
		t.Helper()
		eventually(t, "the file is refused: "+reason, func() bool {
			s := r.reloads.Status()
			return !s.OK && strings.Contains(s.Faults[0], reason)
		})
		if c := r.cfg(); c.HLS.Window != 6 || c.FLV.Enabled {
			t.Errorf("a window of %d is in force", c.HLS.Window)
		}
	}
	text := r.base + "hls.window: 7\nflv.enabled: false\n"
	file, err := os.OpenFile(r.file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	refusedFor("the file is empty")
	half := len(r.base) + len("hls.win")
	for _, part := range []string{text[:half], text[half:]} {
		if _, err := file.WriteString(part); err != nil {
			t.Fatal(err)
		}
		if part == text[:half] {
			refusedFor("could not find expected ':'")
		}
	}
	r.window(7)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is said that the file is gone", func() bool {
		s := r.reloads.Status()
		return !s.OK && strings.Contains(s.Faults[0], "the file is gone")
	})
	if r.hangup() || r.cfg().HLS.Window != 7 {
		t.Error("without a file the defaults are taken")
	}
	r.write("hls.window: 8\n")
	r.window(8)
}
