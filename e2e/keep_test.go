package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/ingest/rtmp"
)

// door is an address that stays while the servers behind it come and go. Ports that the
// kernel chose for one server may be another program's when the next one starts.
type door struct {
	listener net.Listener
	all      sync.WaitGroup

	mu     sync.Mutex
	server string // host:port behind it, "" while it is shut
}

// openDoor returns a door that is shut.
func openDoor(t *testing.T) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: l}
	d.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.all.Go(func() { d.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.all.Wait()
	})
	return d
}

// lead has new connections go to a server, or to nobody.
func (d *door) lead(server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server = server[strings.LastIndexByte(server, '/')+1:]
}

// carry carries bytes both ways until one side ends.
func (d *door) carry(outside net.Conn) {
	defer outside.Close() //nolint:errcheck // a test's connection
	d.mu.Lock()
	server := d.server
	d.mu.Unlock()
	if server == "" {
		return
	}
	inside, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(outside, inside) // ends with either connection
		_ = outside.Close()
	})
	_, _ = io.Copy(inside, outside) // likewise
	_ = inside.Close()
	back.Wait()
}

func (d *door) addr() string { return d.listener.Addr().String() }

// keepFixture has a keyframe every 200 ms, so that there are many segments in a short time.
var keepFixture = fixture{name: "keep", seconds: 6, size: "320x180", rate: "25", profile: "main", gop: 200 * time.Millisecond, audioRate: 44100, channels: 2}

// reconnector publishes a file again and again until it is stopped, and comes back at once when
// its connection breaks.
type reconnector struct {
	tags []oddTag
	url  string
	// accepted is called when a publication begins.
	accepted func()
}

// start publishes in the background until the test ends or stop is called, which waits.
func (r *reconnector) start(ctx context.Context, t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = r.publish(ctx) // the server was killed, or is not there yet
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func (r *reconnector) publish(ctx context.Context) error {
	client, err := rtmp.Dial(ctx, r.url, rtmp.ClientConfig{})
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the server may be gone
	if err := client.Publish(ctx); err != nil {
		return err
	}
	r.accepted()
	began, last := time.Now(), r.tags[len(r.tags)-1].time
	for round := uint32(0); ; round++ {
		for _, tag := range r.tags {
			at := tag.time + round*(last+40)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Until(began.Add(milli(at)))):
			}
			if err := client.WriteMedia(uint8(tag.kind), at, tag.body); err != nil {
				return err
			}
		}
	}
}

// busySlack is the lateness that the referee forgives where other tests run beside: it is far
// less than what a segment that never comes, or a window that stands still, would show.
const busySlack = 3 * time.Second

// referee watches a stream until it is stopped, and says then what it found.
type referee struct {
	*hlscheck.Checker
	cancel context.CancelFunc
	done   chan struct{}
}

// callReferee watches a stream from now on.
func callReferee(ctx context.Context, t *testing.T, options hlscheck.Options) *referee {
	t.Helper()
	if options.HTTPClient == nil {
		options.HTTPClient = viewerClient
	}
	refereed.Store(options.URL, true)
	ctx, cancel := context.WithCancel(ctx)
	r := &referee{Checker: hlscheck.New(options), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.Run(ctx)
	}()
	t.Cleanup(r.stop)
	return r
}

func (r *referee) stop() {
	r.cancel()
	<-r.done
}

// verdict stops the referee and fails the test for each rule that was broken.
func (r *referee) verdict(t *testing.T) hlscheck.Report {
	t.Helper()
	r.stop()
	report := r.Report()
	for _, finding := range report.Must() {
		t.Error(finding)
	}
	t.Logf("%s", report)
	return report
}

// pushUnderReferee pushes an FLV file in real time until the file or the test ends, and has the
// referee watch what comes out as long.
func pushUnderReferee(ctx context.Context, t *testing.T, path string, o origin, name string) {
	t.Helper()
	ctx, end := context.WithCancel(ctx)
	r := callReferee(ctx, t, hlscheck.Options{URL: o.hlsURL(name), Slack: busySlack})
	cmd := command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", path, "-c", "copy", "-f", "flv", o.publishURL(name))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the file has ended, or it was killed
		r.Mark(hlscheck.PublisherLeft)
	}()
	t.Cleanup(func() {
		r.verdict(t)
		end()
		<-ended
	})
}

// eventually asks again and again until there is no error left.
func eventually(ctx context.Context, t *testing.T, what string, ask func() error) {
	t.Helper()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(pollInterval):
		}
	}
}

// verifyJournals runs `headwater journal verify`, which reports nothing wrong.
func verifyJournals(t *testing.T, dir string) {
	t.Helper()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "journal", "verify", dir).CombinedOutput()
	if err != nil {
		t.Errorf("headwater journal verify: %v\n%s", err, out)
	}
	t.Logf("journal verify: %s", out)
}

// segmentFiles returns the segments beneath a data directory.
func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "*.ts"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// notYet is an error of eventually's.
func notYet(done bool, what string) error {
	if done {
		return nil
	}
	return errors.New(what)
}
