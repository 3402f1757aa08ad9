package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headwater-live/headwater/auth"
)

// pageDriver is a Chromium that does steps one after the other; see browser/pages.mjs.
type pageDriver struct {
	t     *testing.T
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func drivePages(ctx context.Context, t *testing.T) *pageDriver {
	t.Helper()
	b := startBrowser(context.WithoutCancel(ctx), t, "pages.mjs")
	d := &pageDriver{t: t, stdin: b.stdin, lines: bufio.NewScanner(b.stdout)}
	d.lines.Buffer(nil, 1<<20)
	t.Cleanup(func() {
		d.shot("end")
		_ = b.stdin.Close() // asks Chromium to end
		for d.lines.Scan() {
			continue
		}
		if err := b.wait(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// do does a step and returns its value.
func (d *pageDriver) do(step map[string]any) any {
	d.t.Helper()
	text, err := json.Marshal(step)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.stdin.Write(append(text, '\n')); err != nil {
		d.t.Fatal(err)
	}
	if !d.lines.Scan() {
		d.t.Fatalf("the browser ended at %s", text)
	}
	var answer struct {
		Value any
		Error string
	}
	if err := json.Unmarshal(d.lines.Bytes(), &answer); err != nil {
		d.t.Fatal(err)
	}
	if answer.Error != "" {
		d.t.Fatal(answer.Error)
	}
	return answer.Value
}

func (d *pageDriver) open(url string, more ...string) {
	d.t.Helper()
	step := map[string]any{"do": "open", "url": url}
	for _, m := range more {
		step[m] = true
	}
	d.do(step)
}

// until waits until a JavaScript expression is true.
func (d *pageDriver) until(js string) {
	d.t.Helper()
	d.do(map[string]any{"do": "wait", "js": js, "ms": 60_000})
}

func (d *pageDriver) eval(js string) any {
	d.t.Helper()
	return d.do(map[string]any{"do": "eval", "js": js})
}

func (d *pageDriver) press(keys ...string) {
	d.t.Helper()
	for _, key := range keys {
		d.do(map[string]any{"do": "press", "key": key})
	}
}

// shot keeps a picture of the page in the folder that E2E_SHOTS names, for people to look at.
func (d *pageDriver) shot(name string) {
	folder := os.Getenv("E2E_SHOTS")
	if folder == "" || d.t.Failed() && name != "end" {
		return
	}
	file := filepath.Join(folder, strings.ReplaceAll(d.t.Name(), "/", "-")+"-"+name+".png")
	d.do(map[string]any{"do": "shot", "file": file, "full": true})
}

// noComplaints fails if a page had an error or broke its own Content-Security-Policy. Answers of 404, while a
// stream is not there, are no errors.
func (d *pageDriver) noComplaints() {
	d.t.Helper()
	for _, c := range d.do(map[string]any{"do": "complaints"}).([]any) {
		if !strings.Contains(c.(string), "404 (Not Found)") {
			d.t.Errorf("the browser complains: %v", c)
		}
	}
}

// pushUntilEnded publishes a file in real time until the server, or the returned function, ends it.
func pushUntilEnded(ctx context.Context, t *testing.T, path, url string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	cmd := command(ctx, t, "ffmpeg", "-nostdin", "-loglevel", "quiet", "-re", "-stream_loop", "-1", "-i", path,
		"-c", "copy", "-f", "flv", url)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // it ends as it is made to
	}()
	end = func() {
		cancel()
		<-done
	}
	t.Cleanup(end)
	return end
}

const playsPreview = "document.getElementById('video').currentTime > 0.5 && document.getElementById('video').videoWidth > 0"

// TestConsoleShowsAndEndsAPublication works the console as an operator does, by keyboard.
func TestConsoleShowsAndEndsAPublication(t *testing.T) {
	src := browserFixture.make(t)
	s := startServer(t)
	ctx := limit(t, 4*time.Minute)
	pushUntilEnded(ctx, t, src.path, s.publishURL("console"))
	waitForHLS(ctx, t, s.hlsURL("console"), 1)
	d := drivePages(ctx, t)

	const connected = "document.getElementById('link').textContent === 'connected'"
	d.open(s.admin + "/#%E0%A4%A") // an address that was cut is no reason to show nothing
	d.until(connected)
	d.open(s.admin+"/", "phone")
	d.until("document.querySelector('[data-name=\"live/console\"] .rate')?.textContent.includes('bit/s')")
	d.shot("list")
	d.eval("document.querySelector('[data-name=\"live/console\"] button').focus()")
	d.press("Enter")
	d.until(playsPreview)
	// The charts move.
	before := fmt.Sprint(d.eval("document.querySelector('#bitrate-chart .line').getAttribute('d')"))
	d.until(fmt.Sprintf("document.querySelector('#bitrate-chart .line').getAttribute('d') !== %q", before))
	d.until("document.getElementById('viewers-now').textContent.includes('FLV')")
	d.until("document.querySelectorAll('#window i').length > 0")
	if urls := fmt.Sprint(d.eval("[...document.querySelectorAll('#urls code')].map((c) => c.textContent).join(' ')")); !strings.Contains(urls, s.hlsURL("console")) ||
		!strings.Contains(urls, s.publishURL("console")) {
		t.Errorf("the addresses are %s", urls)
	}
	if wide := d.eval("document.documentElement.scrollWidth > innerWidth"); wide != false {
		t.Error("a phone has to scroll sideways")
	}
	d.shot("detail")

	// Enter keeps the publication, the button beside ends it.
	d.eval("document.getElementById('end').focus()")
	d.press("Enter")
	d.until("document.getElementById('confirm').open")
	d.press("Enter")
	d.until("!document.getElementById('confirm').open && document.getElementById('state').textContent === 'live'")
	d.eval("document.getElementById('end').focus()")
	d.press("Enter")
	d.until("document.getElementById('confirm').open")
	d.press("Tab", "Enter")
	d.until("document.getElementById('state').textContent === 'waits for its publisher'")
	d.until("document.getElementById('findings').textContent.includes('Nobody publishes')")
	d.until("document.getElementById('events').textContent.includes('ended by operator')")
	d.noComplaints()

	// A server or a tunnel that hangs is said, and forgotten when it goes on.
	goOn := func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }
	t.Cleanup(goOn)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.until("document.getElementById('link').textContent.includes('what you see is old')")
	goOn()
	d.until(connected)
}

// TestConsoleAsksForTheToken opens the console of a server that wants one, and previews a stream that nobody may watch.
func TestConsoleAsksForTheToken(t *testing.T) {
	src := browserFixture.make(t)
	const token = "open sesame, 16 characters"
	s := startServer(t, "--admin.token", token, "--auth.watch", "deny",
		"--hooks.urls", "http://127.0.0.1:1/", "--hooks.secret", "sixteen characters", "--hooks.dir", t.TempDir())
	ctx := limit(t, 3*time.Minute)
	d := drivePages(ctx, t)
	d.open(s.admin + "/")
	d.until("document.getElementById('login').open")
	d.do(map[string]any{"do": "type", "text": token})
	d.press("Enter")
	d.until("document.getElementById('link').textContent === 'connected' && !document.getElementById('empty').hidden")
	d.until("document.getElementById('events').textContent.includes('the server started')")
	// What is wrong with the server itself is said, too.
	d.until("!document.getElementById('troubles').hidden && document.getElementById('troubles').textContent.includes('webhook')")

	pushUntilEnded(ctx, t, src.path, s.publishURL("hidden"))
	d.until("document.querySelectorAll('#stream-list li').length === 1")
	if f, err := fetch(ctx, s.http+"/"+app+"/hidden.flv"); err != nil || f.status != 403 {
		t.Errorf("the public listener: %d, %v", f.status, err)
	}
	d.until("document.getElementById('refused').textContent.includes('not allowed')")
	d.press("j") // to the first stream
	d.until("document.getElementById('name').textContent === 'live/hidden'")
	d.until(playsPreview)
	d.press("/")
	d.do(map[string]any{"do": "type", "text": "nothing of that name"})
	d.until("!document.getElementById('none').hidden")
	d.shot("find")
}

// TestWatchPagePlaysAndRecovers watches while the publisher leaves and comes back, and over HLS.
func TestWatchPagePlaysAndRecovers(t *testing.T) {
	src := browserFixture.make(t)
	s := startServer(t, "--stream.grace", "3s")
	ctx := limit(t, 4*time.Minute)
	d := drivePages(ctx, t)
	page := s.http + "/" + app + "/watch"
	playing := "document.body.dataset.state === 'playing' && document.getElementById('video').videoWidth > 0"

	d.open(page, "dark") // before there is anything
	end := pushUntilEnded(ctx, t, src.path, s.publishURL("watch"))
	d.until(playing)
	if p := d.eval("document.body.dataset.protocol"); p != "flv" {
		t.Errorf("it plays over %v", p)
	}
	end()
	d.until("document.body.dataset.state === 'waiting'")
	pushUntilEnded(ctx, t, src.path, s.publishURL("watch"))
	d.until(playing)
	d.shot("playing")

	waitForHLS(ctx, t, s.hlsURL("watch"), 1)
	d.open(page + "?protocol=hls")
	d.until(playing + " && document.body.dataset.protocol === 'hls'")
	d.noComplaints()
}

// TestTheWatchPageSaysWhatIsMissing opens it without the token that a stream needs, and then with one.
func TestTheWatchPageSaysWhatIsMissing(t *testing.T) {
	src := browserFixture.make(t)
	secret := "a secret of some length"
	s := startServer(t, "--auth.watch", "signed", "--auth.secret", secret)
	ctx := limit(t, 3*time.Minute)
	pushUntilEnded(ctx, t, src.path, s.publishURL("members"))
	d := drivePages(ctx, t)
	page := s.http + "/" + app + "/members"
	d.open(page)
	d.until("document.getElementById('note-text').textContent.includes('needs a link with a token')")
	d.shot("refused")
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	token := auth.Sign([]byte(secret), auth.Grant{Action: auth.Play, Stream: app + "/members", Expires: expires})
	d.open(page + "?token=" + token)
	d.until("document.body.dataset.state === 'playing' && document.getElementById('video').videoWidth > 0")
}

func TestTheWatchPageCanBeSwitchedOff(t *testing.T) {
	s := startServer(t, "--http.watch_page=false")
	for _, path := range []string{"/live/test", "/.web/watch.js"} {
		f, err := fetch(limit(t, time.Minute), s.http+path)
		if err != nil || f.status != 404 {
			t.Errorf("%s: %d, %v", path, f.status, err)
		}
	}
}
