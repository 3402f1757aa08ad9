package e2e

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSegmentsGoOutWithSendfile watches the server's system calls while segments are
// downloaded: the kernel sends their bytes, and the server reads none of them.
func TestSegmentsGoOutWithSendfile(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	trace := filepath.Join(t.TempDir(), "trace")
	s := launchTraced(t, trace)
	s.unwatched("all that the server sends is counted")
	src := fixtureNamed(t, "baseline").make(t)
	const name = "traced"
	pushInBackground(ctx, t, src.path, s.publishURL(name))
	waitForHLS(ctx, t, s.hlsURL(name), 2)

	a := addressesOf(ctx, t, s.hlsURL(name))
	whole := ask(ctx, t, http.MethodGet, a.segments[0])
	part := ask(ctx, t, http.MethodGet, a.segments[1], "Range", "bytes=188-1879")
	if whole.status != 200 || part.status != 206 {
		t.Fatalf("the downloads were answered with %d and %d", whole.status, part.status)
	}
	stored, err := os.ReadFile(storedSegment(s, a.segments[0]))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, whole.body) {
		t.Error("the download is not what is stored")
	}
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	calls := readTrace(ctx, t, trace)
	calls.check(t, storedSegment(s, a.segments[0]), len(whole.body))
	calls.check(t, storedSegment(s, a.segments[1]), len(part.body))
}

// launchTraced starts the server with strace beside it, which writes down what it does
// with descriptors, and their paths.
func launchTraced(t *testing.T, trace string) *server {
	t.Helper()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	needTool(t, "strace")
	// With -D the server is our child, and strace the grandchild: signals and exit status are the server's.
	probe := run(command(limit(t, 30*time.Second), t, "strace", "-f", "-o", os.DevNull, "true"))
	if probe.err != nil {
		t.Fatalf("strace cannot trace here, so it cannot be seen that segments go out with sendfile; "+
			"a container needs the capability SYS_PTRACE, or a seccomp profile that permits ptrace: %v\n%s", probe.err, probe.stderr)
	}
	return launch(t, t.TempDir(), []string{"strace", "-D", "-f", "-qq", "-y", "-s", "0", "-o", trace,
		"-e", "trace=sendfile,splice,read,readv,pread64,preadv,mmap,copy_file_range,exit_group", path})
}

// storedSegment returns the file of a segment.
func storedSegment(s *server, url string) string {
	return filepath.Join(s.storage, filepath.FromSlash(strings.TrimPrefix(url, s.http)))
}

// traced are the system calls of a server, one per line.
type traced []string

// readTrace waits until strace has written down the end of the server.
func readTrace(ctx context.Context, t *testing.T, path string) traced {
	t.Helper()
	for {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("exit_group(")) {
			return strings.Split(string(text), "\n")
		}
		select {
		case <-ctx.Done():
			t.Fatalf("strace has not seen the server end: %v", context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

// check fails the test unless a file was sent with sendfile, all that was asked for, and
// touched by nothing else.
func (calls traced) check(t *testing.T, file string, size int) {
	t.Helper()
	sent := 0
	sending := map[string]bool{} // threads with an unfinished sendfile of the file
	for _, call := range calls {
		thread, what, _ := strings.Cut(call, " ")
		what = strings.TrimSpace(what)
		mine := strings.Contains(what, "<"+file+">")
		switch {
		case mine && strings.HasPrefix(what, "sendfile("):
			sending[thread] = strings.HasSuffix(what, "<unfinished ...>")
		case strings.HasPrefix(what, "<... sendfile resumed>") && sending[thread]:
			sending[thread] = false
		case mine:
			t.Errorf("the server reads the segment: %s", what)
			continue
		default:
			continue
		}
		if i := strings.LastIndex(what, " = "); i >= 0 {
			if n, err := strconv.Atoi(what[i+3:]); err == nil { // else EAGAIN
				sent += n
			}
		}
	}
	if sent != size {
		t.Errorf("%d bytes of %s went out with sendfile, want all %d", sent, filepath.Base(file), size)
	}
}
