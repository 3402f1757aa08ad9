package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startLimit = 30 * time.Second
	// stopLimit is how long a drain may take before the server counts as stuck.
	stopLimit = 20 * time.Second
)

// server is a running headwater process.
type server struct {
	origin
	storage string // its storage.dir
	// rtmps and https are its addresses over TLS, if it has any.
	rtmps, https string

	patrol *patrol // watches its streams; nil in a benchmark
	grace  time.Duration

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process and its output ended
	err    error         // how it ended; valid after exited
	killed bool          // by the test, so that there is no clean end to expect

	mu  sync.Mutex
	log strings.Builder
}

// readyRecord is the log record that says where the server listens.
type readyRecord struct {
	Msg   string `json:"msg"`
	RTMP  string `json:"rtmp"`
	RTMPS string `json:"rtmps"`
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	Admin string `json:"admin"`
}

// startServer starts `headwater serve` on ports chosen by the kernel and waits
// until it listens. When the test ends it is drained with SIGTERM and must exit
// with 0, without having panicked or raced.
func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	return startServerIn(t, t.TempDir(), flags...)
}

// startServerIn is startServer with a storage folder that may have a past.
func startServerIn(t *testing.T, dir string, flags ...string) *server {
	t.Helper()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, dir, []string{path}, flags...)
}

// launch is startServerIn with the command that runs a binary of Headwater.
func launch(t testing.TB, dir string, command []string, flags ...string) *server {
	t.Helper()
	s := &server{storage: dir, grace: graceOf(flags), exited: make(chan struct{})}
	args := append(command[1:len(command):len(command)], "serve",
		"--rtmp.addr", "127.0.0.1:0", "--http.addr", "127.0.0.1:0", "--admin.addr", "127.0.0.1:0",
		"--storage.dir", dir, "--log.format", "json",
		"--drain.timeout", "0s") // a test that ends has publishers that do not
	s.cmd = exec.Command(command[0], append(args, flags...)...)
	// Neither a developer's headwater.yaml nor the environment may leak in.
	s.cmd.Dir = t.TempDir()
	s.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HEADWATER_") })
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.awaitReady(t)
	return s
}

// awaitReady starts the process and waits until it listens. When the test ends it is drained, see startServer.
func (s *server) awaitReady(t testing.TB) {
	t.Helper()
	ready := make(chan readyRecord, 1)
	seeOff := func() {}
	if _, benchmark := t.(*testing.B); !benchmark {
		var isNew bool
		if s.patrol, isNew = patrolOf(s, s.grace); isNew {
			seeOff = func() { s.patrol.verdict(t, s.storage) }
		}
	}
	if err := s.start(ready); err != nil {
		t.Fatalf("start headwater: %v", err)
	}
	t.Cleanup(func() { s.check(t) })
	t.Cleanup(seeOff) // while it still serves

	select {
	case r := <-ready:
		s.origin = origin{rtmp: "rtmp://" + r.RTMP, http: "http://" + r.HTTP, admin: "http://" + r.Admin}
		s.rtmps, s.https = "rtmps://"+r.RTMPS, "https://"+r.HTTPS
	case <-s.exited:
		t.Fatalf("headwater serve ended before it was ready: %v", s.err)
	case <-time.After(startLimit):
		t.Fatalf("headwater serve logged no record with msg \"ready\" within %v", startLimit)
	}
}

// start runs the process and follows its output; the first ready record is sent to ready.
func (s *server) start(ready chan<- readyRecord) error {
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var readers sync.WaitGroup
	for _, pipe := range []io.Reader{stdout, stderr} {
		readers.Go(func() { s.follow(pipe, ready) })
	}
	go func() {
		readers.Wait()
		s.err = s.cmd.Wait()
		if s.patrol != nil {
			s.patrol.gone(s)
		}
		close(s.exited)
	}()
	return nil
}

func (s *server) follow(pipe io.Reader, ready chan<- readyRecord) {
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		s.mu.Lock()
		s.log.WriteString(line)
		s.mu.Unlock()
		var r readyRecord
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "ready" {
			if s.patrol != nil {
				s.patrol.ready(s, "http://"+r.HTTP)
			}
			select {
			case ready <- r:
			default:
			}
		}
		if s.patrol != nil {
			s.patrol.follow([]byte(line))
		}
		if err != nil {
			return
		}
	}
}

// output returns what the server has printed and logged so far.
func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop drains the server with SIGTERM and returns how it ended. It may be called
// more than once.
func (s *server) stop() error {
	select {
	case <-s.exited:
		return s.err
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return s.err
	case <-time.After(stopLimit):
		// SIGQUIT makes the runtime print every goroutine: the log then says what hangs.
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-s.exited:
		case <-time.After(stopLimit):
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
		return errors.New("still running " + stopLimit.String() + " after SIGTERM")
	}
}

// kill ends the server as kill -9 does.
func (s *server) kill(t *testing.T) {
	t.Helper()
	s.killed = true
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill headwater: %v", err)
	}
	<-s.exited
}

// check stops the server and fails the test if it behaved badly.
func (s *server) check(t testing.TB) {
	if err := s.stop(); err != nil && !s.killed {
		t.Errorf("headwater serve did not exit with 0 after SIGTERM: %v", err)
	}
	log := s.output()
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(log, bad) {
			t.Errorf("the server's log contains %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("log of headwater serve:\n%s", tail(log, 64<<10))
	}
}

// tail returns the last n bytes of s, from a line's beginning.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	return "…\n" + s[strings.IndexByte(s, '\n')+1:]
}
