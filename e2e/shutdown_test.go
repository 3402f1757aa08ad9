package e2e

import (
	"context"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestShutdownEndsEverybodyCleanly stops the server in the middle of a
// publication. Both viewers and the publisher get a clean end, the exit code is
// 0, and what was published is complete.
func TestShutdownEndsEverybodyCleanly(t *testing.T) {
	s := startServer(t)
	f := fixtureNamed(t, "high-bframes")
	src := f.make(t)
	ctx := limit(t, time.Minute)
	rec := watch(ctx, s.origin, f.name)
	pushInBackground(ctx, t, src.path, s.publishURL(f.name))
	waitForHLS(ctx, t, s.hlsURL(f.name), 3)

	publisher := openPublisher(ctx, t, s)
	if err := s.stop(); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	select {
	case err := <-publisher:
		if err != nil {
			t.Errorf("the publisher's connection ended with %v, not with a clean close", err)
		}
	case <-ctx.Done():
		t.Error("the publisher's connection was not closed")
	}
	<-rec.done
	if rec.flvErr != nil || !rec.flv.ended {
		t.Errorf("the FLV response was cut: ended %t, %v", rec.flv.ended, rec.flvErr)
	}
	report(t, "HLS", rec.hls.faults)
	report(t, "HLS", rec.hls.judge())
	report(t, "FLV", rec.flv.faults)
	checkCutShort(t, rec, src.media)
	checkStoredSegments(t, s.storage, len(rec.hls.segments))
}

// openPublisher publishes the beginning of a capture and leaves the connection
// open. The channel tells how the server ended it: nil for a clean close.
func openPublisher(ctx context.Context, t *testing.T, s *server) <-chan error {
	t.Helper()
	data := captureNamed(t, "06-gst122-rtmp2sink").open(t)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(s.rtmp, "rtmp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(data[:len(data)/2]); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	}()
	waitForHLS(ctx, t, s.hlsURL("test"), 1) // now the server has read what was sent
	return ended
}

// checkCutShort checks that what players got before the end is a whole
// beginning of what was sent: nothing is missing inside.
func checkCutShort(t *testing.T, rec *recordings, in media) {
	t.Helper()
	ctx := limit(t, time.Minute)
	for name, r := range map[string]struct {
		out media
		tol tolerance
	}{
		"HLS": {rec.hls.read(ctx, t), tsTolerance},
		"FLV": {rec.flv.read(ctx, t), flvTolerance},
	} {
		if len(r.out.video) == 0 || len(r.out.video) >= len(in.video) {
			t.Errorf("%s: %d pictures of %d came out before the end", name, len(r.out.video), len(in.video))
			continue
		}
		begin := in
		begin.video = in.video[:len(r.out.video)]
		begin.audio = in.audio[:min(len(r.out.audio), len(in.audio))]
		report(t, name, account(begin, r.out, r.tol))
	}
	report(t, "HLS", checkTS(rec.hls.segments, true, true))
}

// checkStoredSegments checks that every segment left in the storage is whole
// and that no unfinished file lies about.
func checkStoredSegments(t *testing.T, dir string, atLeast int) {
	t.Helper()
	whole := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.Contains(entry.Name(), "tmp") || strings.Contains(entry.Name(), "temp") {
			t.Errorf("an unfinished file was left: %s", entry.Name())
		}
		if filepath.Ext(path) != ".ts" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		whole++
		report(t, "stored "+entry.Name(), checkTS([]segment{{data: data}}, true, true))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if whole < atLeast {
		t.Errorf("%d segments are in the storage, at least %d were listed", whole, atLeast)
	}
}
