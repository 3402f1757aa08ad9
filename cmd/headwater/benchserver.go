package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// benchServerStart is how long a server may take until it listens, and benchServerStop to end.
	benchServerStart = 20 * time.Second
	benchServerStop  = 20 * time.Second
)

// benchServer is a server that bench has started.
type benchServer struct {
	rtmp, http string // URLs
	cmd        *exec.Cmd
	folder     string
	followed   chan struct{} // closed when its log has ended
	lastError  string        // of its log; valid after followed
}

// startBenchServer runs this program's serve on ports that the kernel chooses, with a folder that is removed
// afterwards, and waits until it listens.
func startBenchServer(ctx context.Context, flags []string) (*benchServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	folder, err := os.MkdirTemp("", "headwater-bench-")
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	// Later flags beat earlier ones. The log is what tells the ports, so its format stands last.
	args := append([]string{"serve",
		"--rtmp.addr=127.0.0.1:0", "--http.addr=127.0.0.1:0", "--admin.addr=127.0.0.1:0", "--storage.dir=" + folder,
		"--rtmp.max_connections=1000000", "--rtmp.max_connections_per_ip=1000000",
		"--http.max_connections=1000000", "--http.max_connections_per_ip=1000000",
		"--drain.timeout=0s", // its publishers are gone by then, or never end
	}, flags...)
	args = append(args, "--log.format=json", "--log.level=info")
	s := &benchServer{cmd: exec.Command(self, args...), folder: folder, followed: make(chan struct{})}
	s.cmd.Args[0] = os.Args[0] // the name that this program goes by
	s.cmd.Dir = folder         // no headwater.yaml of the user's
	s.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HEADWATER_") })
	// Ctrl-C is for this process, which asks the server to end afterwards.
	s.cmd.SysProcAttr = ownGroup()
	log, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, fmt.Errorf("start a server: %w", err)
	}
	ready := make(chan benchRecord, 1)
	go s.follow(log, ready)
	timer := time.NewTimer(benchServerStart)
	defer timer.Stop()
	select {
	case r := <-ready:
		s.rtmp, s.http = "rtmp://"+r.RTMP, "http://"+r.HTTP
		return s, nil
	case <-s.followed:
		err = errors.New("it ended at once: " + s.lastError)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = errors.New("it does not listen")
	}
	s.stop()
	return nil, fmt.Errorf("start a server: %w", err)
}

// benchRecord is a record of the server's log; what is of no interest is left out.
type benchRecord struct {
	Level string `json:"level"`
	Msg   string `json:"msg"`
	Err   string `json:"err"`
	RTMP  string `json:"rtmp"`
	HTTP  string `json:"http"`
}

// follow reads the log to its end.
func (s *benchServer) follow(log io.Reader, ready chan<- benchRecord) {
	defer close(s.followed)
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		var r benchRecord
		switch {
		case json.Unmarshal([]byte(line), &r) != nil:
			if text := strings.TrimSpace(line); text != "" {
				s.lastError = text
			}
		case r.Msg == "ready":
			select {
			case ready <- r:
			default:
			}
		case r.Level == "ERROR":
			s.lastError = strings.TrimSpace(r.Msg + " " + r.Err)
		}
		if err != nil {
			return
		}
	}
}

func (s *benchServer) pid() int { return s.cmd.Process.Pid }

// stop asks the server to end, insists if it does not, and removes what it has left.
func (s *benchServer) stop() {
	if s.cmd.Process.Signal(syscall.SIGTERM) != nil {
		_ = s.cmd.Process.Kill() // a system without signals
	}
	timer := time.AfterFunc(benchServerStop, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	<-s.followed
	_ = s.cmd.Wait() // however it ended, it has
	_ = os.RemoveAll(s.folder)
}
