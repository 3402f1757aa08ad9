package fanout

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a headwater process.
type server struct {
	pid               int
	rtmp, http, admin string // host and port
}

// start builds headwater, without the race detector, and starts it.
func start(b testing.TB, flags ...string) server {
	b.Helper()
	dir := b.TempDir()
	path := os.Getenv("E2E_BINARY")
	if path == "" {
		path = filepath.Join(dir, "headwater")
		if out, err := exec.Command("go", "build", "-o", path, "../../cmd/headwater").CombinedOutput(); err != nil {
			b.Fatalf("build headwater: %v\n%s", err, out)
		}
	}
	cmd := exec.Command(path, append([]string{"serve", "--rtmp.addr=127.0.0.1:0", "--http.addr=127.0.0.1:0",
		"--admin.addr=127.0.0.1:0", "--storage.dir=" + dir, "--log.format=json", "--hls.enabled=false",
		"--rtmp.max_connections_per_ip=10000", "--drain.timeout=0s"}, flags...)...)
	cmd.Dir = dir
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var ready struct{ Msg, RTMP, HTTP, Admin string }
		if json.Unmarshal(lines.Bytes(), &ready) == nil && ready.Msg == "ready" {
			go func() {
				for lines.Scan() {
					continue
				}
			}()
			return server{cmd.Process.Pid, ready.RTMP, ready.HTTP, ready.Admin}
		}
	}
	b.Fatal("headwater is not ready")
	return server{}
}

// processorTime returns what a process has used of it.
func processorTime(b testing.TB, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// Fields 14 and 15 of proc(5), counted from the end of the name.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// ranFor returns how long the threads of a process have run, where the kernel says so more exactly than as
// processorTime.
func ranFor(t testing.TB, pid int) (ran time.Duration) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		ns, _, _ := strings.Cut(string(stat), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ran += time.Duration(n)
	}
	if ran == 0 {
		return processorTime(t, pid)
	}
	return ran
}

// memory returns what a process holds resident, in bytes.
func memory(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// cost is what was measured of a process.
type cost struct {
	perGB float64 // seconds of processor
	core  float64 // share of one core
	bytes int64
}

// measure observes a process and its viewers for some time.
func measure(b *testing.B, pid int, c *crowd, length time.Duration) cost {
	b.Helper()
	return measureAll(b, []int{pid}, []*crowd{c}, length)[0]
}

// measureAll observes several, each with its viewers, in the same time.
func measureAll(b *testing.B, pids []int, crowds []*crowd, length time.Duration) []cost {
	b.Helper()
	before := make([]time.Duration, len(pids))
	costs := make([]cost, len(pids))
	began := time.Now()
	for i, pid := range pids {
		before[i], costs[i].bytes = processorTime(b, pid), -crowds[i].total()
	}
	time.Sleep(length)
	passed := time.Since(began).Seconds()
	for i, pid := range pids {
		cpu, c := processorTime(b, pid)-before[i], &costs[i]
		c.bytes += crowds[i].total()
		c.perGB, c.core = cpu.Seconds()/(float64(c.bytes)/1e9), cpu.Seconds()/passed
		if n := crowds[i].lost.Load(); n > 0 {
			b.Errorf("%d viewers were cut", n)
		}
	}
	return costs
}

// metric returns a sample of the server's metrics.
func (s server) metric(b testing.TB, name string) float64 {
	b.Helper()
	res, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				b.Fatal(err)
			}
			return v
		}
	}
	b.Fatalf("no metric %s", name)
	return 0
}
