package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const browserDir = "browser"

// installBrowserPackages runs `npm ci` once, where the lock file says that
// something else is installed.
var installBrowserPackages = sync.OnceValue(func() error {
	installed, err := os.Stat(filepath.Join(browserDir, "node_modules", ".package-lock.json"))
	if err == nil {
		wanted, err := os.Stat(filepath.Join(browserDir, "package-lock.json"))
		if err != nil {
			return err
		}
		if installed.ModTime().After(wanted.ModTime()) {
			return nil
		}
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = browserDir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in e2e/browser: %w\n%s", err, out)
	}
	return nil
})

// browser is a script of Node.js that drives a Chromium, which ends when the script's input does.
type browser struct {
	stdin  io.WriteCloser
	stdout io.Reader
	// wait returns how the script ended, once its output was read to the end.
	wait func() error
}

// startBrowser starts a script of browserDir, with a profile of its own for Chromium.
func startBrowser(ctx context.Context, t *testing.T, script string, args ...string) *browser {
	t.Helper()
	needTool(t, "npm")
	needTool(t, "chromium")
	if err := installBrowserPackages(); err != nil {
		t.Fatal(err)
	}
	cmd := command(ctx, t, "node", append([]string{script, "--profile", t.TempDir()}, args...)...)
	cmd.Dir = browserDir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &browser{stdin: stdin, stdout: stdout, wait: func() error {
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("node %s: %w\n%s", script, err, stderr.String())
		}
		return nil
	}}
}

// sample is the state of a playback in Chromium; times in seconds.
type sample struct {
	Event         string   `json:"event"`
	Text          string   `json:"text"` // of the browser's console
	Clock         float64  `json:"clock"`
	CurrentTime   float64  `json:"currentTime"`
	BufferedEnd   float64  `json:"bufferedEnd"`
	Playing       bool     `json:"playing"`
	Width         int      `json:"width"`
	Height        int      `json:"height"`
	DecodedFrames int      `json:"decodedFrames"`
	DroppedFrames int      `json:"droppedFrames"`
	AudioBytes    int      `json:"audioBytes"`
	Waiting       int      `json:"waiting"`
	Ended         bool     `json:"ended"`
	Errors        []string `json:"errors"`
	Fatal         []string `json:"fatal"`
}

// playback is a Chromium that plays one URL.
type playback struct {
	samples <-chan sample // closed when Chromium has ended
	stop    func()        // asks Chromium to end

	seen    []sample // those that were received through next
	console []string
	err     error // valid when samples is closed
}

// playInBrowser starts Chromium on a page of another origin than the media's,
// which plays url with hls.js (kind "hls"), mpegts.js ("flv", "ws", "ts") or flv.js ("flvjs").
func playInBrowser(ctx context.Context, t *testing.T, kind, url string, limit time.Duration) *playback {
	t.Helper()
	site := httptest.NewServer(playerSite())
	t.Cleanup(site.Close)

	// Chromium is asked to end rather than killed with the test's context, so
	// that it takes its processes and its profile with it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit+30*time.Second)
	b := startBrowser(ctx, t, "play.mjs", "--page", site.URL+"/", "--kind", kind, "--url", url, "--seconds", fmt.Sprint(int(limit.Seconds())))
	samples := make(chan sample, 8*int(limit.Seconds()))
	p := &playback{samples: samples, stop: sync.OnceFunc(func() { _ = b.stdin.Close() })}
	go func() {
		defer close(samples)
		readErr := readSamples(b.stdout, samples)
		if p.err = b.wait(); p.err == nil {
			p.err = readErr
		}
	}()
	t.Cleanup(func() {
		p.stop()
		for range p.samples {
			continue // wait for the browser's end
		}
		cancel()
	})
	return p
}

func readSamples(stdout io.Reader, samples chan<- sample) error {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("read sample: %w", err)
		}
		samples <- s
	}
	return lines.Err()
}

// playerSite serves the player page and the libraries it needs.
func playerSite() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(filepath.Join(browserDir, "page"))))
	for path, file := range map[string]string{
		"/hls.js":    "hls.js/dist/hls.min.js",
		"/mpegts.js": "mpegts.js/dist/mpegts.js",
		"/flv.js":    "flv.js/dist/flv.js",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join(browserDir, "node_modules", filepath.FromSlash(file)))
		})
	}
	return mux
}

// next returns the next sample; the playback must not have ended.
func (p *playback) next(ctx context.Context, t *testing.T) sample {
	t.Helper()
	for {
		select {
		case <-ctx.Done():
			t.Fatalf("browser: %v; the last sample is %+v", context.Cause(ctx), p.last())
		case s, ok := <-p.samples:
			switch {
			case !ok:
				t.Fatalf("the browser ended early: %v", p.err)
			case s.Event != "sample":
				p.console = append(p.console, s.Event+": "+s.Text)
			default:
				p.seen = append(p.seen, s)
				return s
			}
		}
	}
}

func (p *playback) last() sample {
	if len(p.seen) == 0 {
		return sample{}
	}
	return p.seen[len(p.seen)-1]
}

// until reads samples until one fulfils the condition and returns it. A fatal
// error of the player fails the test.
func (p *playback) until(ctx context.Context, t *testing.T, condition func(sample) bool) sample {
	t.Helper()
	for {
		s := p.next(ctx, t)
		if len(s.Fatal) > 0 {
			t.Fatalf("browser: fatal errors: %q; others: %q; console: %q", s.Fatal, s.Errors, p.console)
		}
		if condition(s) {
			return s
		}
	}
}

// started waits until pictures move.
func (p *playback) started(ctx context.Context, t *testing.T) sample {
	t.Helper()
	first := p.until(ctx, t, func(s sample) bool { return s.Playing })
	return p.until(ctx, t, func(s sample) bool { return s.CurrentTime > first.CurrentTime })
}

// speed is how fast the media's time ran between two samples, against the clock.
func speed(from, to sample) float64 {
	return (to.CurrentTime - from.CurrentTime) / (to.Clock - from.Clock)
}

// untilSteady waits until the last playWindow seconds were played at realtime
// speed, and returns the samples at both ends.
func (p *playback) untilSteady(ctx context.Context, t *testing.T) (from, to sample) {
	t.Helper()
	begin := len(p.seen) - 1
	p.until(ctx, t, func(s sample) bool {
		to = s
		// The latest sample that lies a whole window back.
		for i := len(p.seen) - 1; i >= begin; i-- {
			if from = p.seen[i]; to.CurrentTime-from.CurrentTime >= playWindow {
				return speed(from, to) >= realtime
			}
		}
		return false
	})
	return from, to
}
