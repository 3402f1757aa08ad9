package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// pieces says how a replay is cut into writes.
type pieces struct {
	name string
	// next returns the size of the next write, given how much is left.
	next func(left int) int
}

var (
	whole  = pieces{"whole", func(left int) int { return left }}
	single = pieces{"byte by byte", func(int) int { return 1 }}
)

// randomPieces are between 1 and 3000 bytes: headers and payloads are cut anywhere.
func randomPieces(seed uint64) pieces {
	source := rand.New(rand.NewPCG(seed, 0))
	return pieces{"random sizes", func(int) int { return 1 + source.IntN(3000) }}
}

// replay writes what an encoder once sent to the RTMP server at addr, discards
// the replies, half-closes and waits until the server has closed too.
func replay(ctx context.Context, addr string, data []byte, cut pieces) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	replies := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		replies <- err
	}()
	for rest := data; len(rest) > 0; {
		n := min(cut.next(len(rest)), len(rest))
		if _, err := conn.Write(rest[:n]); err != nil {
			return fmt.Errorf("write at byte %d of %d: %w", len(data)-len(rest), len(data), err)
		}
		rest = rest[n:]
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if err := <-replies; err != nil {
		return fmt.Errorf("read replies: %w", err)
	}
	return nil
}

// TestCapturesReplay replays what real encoders sent, faster than they did.
func TestCapturesReplay(t *testing.T) {
	for i, c := range captures {
		data := c.open(t)
		if data == nil {
			t.Logf("%s is not at hand", c.name)
			continue
		}
		cuts := []pieces{whole, randomPieces(uint64(i))}
		if len(data) < 100_000 {
			cuts = append(cuts, single)
		}
		for _, cut := range cuts {
			t.Run(c.name+"/"+cut.name, func(t *testing.T) {
				t.Parallel()
				testReplay(t, c, data, cut)
			})
		}
	}
}

func testReplay(t *testing.T, c capture, data []byte, cut pieces) {
	// All captures publish the same stream, so each has a server of its own. The
	// window holds all of a replay, which comes in at once.
	s := startServer(t, "--stream.grace", shortGrace, "--hls.window", "20")
	ctx := limit(t, 2*time.Minute)
	const name = "test"
	rec := watch(ctx, s.origin, name)
	if err := replay(ctx, strings.TrimPrefix(s.rtmp, "rtmp://"), data, cut); err != nil {
		t.Errorf("replay: %v", err)
	}
	rec.wait(t)

	hls, flv := rec.hls.read(ctx, t), rec.flv.read(ctx, t)
	report(t, "FLV", c.check(flv, time.Millisecond))
	report(t, "FLV", checkFLV(rec.flv.body, c.video.frames > 0, c.audio.frames > 0))
	report(t, "HLS", c.check(hls, max(tsTolerance.audio, c.audioSlack)))
	report(t, "HLS", checkTS(rec.hls.segments, c.video.frames > 0, c.audio.frames > 0))
	report(t, "HLS against FLV", accountPayloads("video", flv.video, hls.video))
	report(t, "HLS against FLV", accountPayloads("audio", flv.audio, hls.audio))
	discontinuities := 0
	for _, s := range rec.hls.segments {
		if s.discontinuity {
			discontinuities++
		}
	}
	if discontinuities != c.changes {
		t.Errorf("HLS: %d discontinuities, the configuration changes %d times", discontinuities, c.changes)
	}
	if t.Failed() {
		t.Logf("last playlist:\n%s", rec.hls.text)
	}
}
