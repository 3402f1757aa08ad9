package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// debianPackage names the package that brings each tool a test may need.
var debianPackage = map[string]string{
	"chromium":       "chromium",
	"ffmpeg":         "ffmpeg",
	"ffprobe":        "ffmpeg",
	"go":             "golang",
	"logrotate":      "logrotate",
	"gst-launch-1.0": "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly",
	"mpv":            "mpv",
	"nice":           "coreutils",
	"node":           "nodejs",
	"npm":            "npm",
	"setpriv":        "util-linux",
	"vlc":            "vlc-bin vlc-plugin-base",
	"python3":        "python3",
	"strace":         "strace",
	"streamlink":     "streamlink",
}

// runDir is the folder of one test run: the binary under test, the fixtures.
var runDir string

// analysisSlots bounds the processes that use a whole core, so that those that
// must keep up with the clock do.
var analysisSlots = make(chan struct{}, max(1, runtime.NumCPU()))

// realtimeTests is how many parallel tests run at once. They wait for the clock
// most of the time, so the number of cores is no measure for it.
const realtimeTests = 24

func TestMain(m *testing.M) {
	if file := os.Getenv(bareServer); file != "" {
		fmt.Fprintln(os.Stderr, "bare server:", serveBare(file))
		os.Exit(1)
	}
	if os.Getenv(oldKernel) != "" {
		_ = os.Unsetenv(oldKernel)
		fmt.Fprintln(os.Stderr, "old kernel:", runOnOldKernel(os.Args[1:]))
		os.Exit(1)
	}
	flag.Parse()
	if !isFlagSet("test.parallel") {
		if err := flag.Set("test.parallel", fmt.Sprint(realtimeTests)); err != nil {
			panic(err)
		}
	}
	var err error
	if runDir, err = os.MkdirTemp("", "headwater-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the run:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(runDir); err != nil {
		fmt.Fprintln(os.Stderr, "remove the folder of the run:", err)
	}
	os.Exit(code)
}

func isFlagSet(name string) bool {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// headwater builds headwater with the race detector, once per run, and returns
// its path. E2E_BINARY names another one to test, such as a release.
var headwater = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("E2E_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(runDir, "headwater")
	out, err := exec.Command("go", "build", "-race", "-o", path, "../cmd/headwater").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build headwater: %w\n%s", err, out)
	}
	return path, nil
})

// needTool fails the test when name is not installed and says how to install it.
func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("this test needs %s: apt-get install %s", name, debianPackage[name])
	}
}

// command prepares a process that is killed with all its children when ctx ends.
func command(ctx context.Context, t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	needTool(t, name)
	return isolate(exec.CommandContext(ctx, name, args...))
}

// isolate gives cmd a process group of its own, which dies with its context.
func isolate(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// output is what a process that ended left behind.
type output struct {
	name   string
	stdout string
	stderr string
	err    error
}

// run runs a command to its end.
func run(cmd *exec.Cmd) output {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return output{name: filepath.Base(cmd.Path), stdout: stdout.String(), stderr: stderr.String(), err: err}
}

// clean returns an error unless the process succeeded and complained of nothing.
func (o output) clean() error {
	if o.err != nil {
		return fmt.Errorf("%s: %w\n%s", o.name, o.err, o.stderr)
	}
	if s := strings.TrimSpace(o.stderr); s != "" {
		return fmt.Errorf("%s complained:\n%s", o.name, s)
	}
	return nil
}

// analyse runs a tool that works as fast as it can: in a slot, at low priority.
func analyse(ctx context.Context, name string, args ...string) (output, error) {
	for _, tool := range []string{"nice", name} {
		if _, err := exec.LookPath(tool); err != nil {
			return output{}, fmt.Errorf("this test needs %s: apt-get install %s", tool, debianPackage[tool])
		}
	}
	select {
	case analysisSlots <- struct{}{}:
	case <-ctx.Done():
		return output{}, fmt.Errorf("wait to run %s: %w", name, ctx.Err())
	}
	defer func() { <-analysisSlots }()
	o := run(isolate(exec.CommandContext(ctx, "nice", append([]string{"-n", "10", name}, args...)...)))
	o.name = name
	if o.err != nil {
		return o, fmt.Errorf("%s: %w\n%s", name, o.err, o.stderr)
	}
	return o, nil
}

// limit returns a context that ends with the test, or after d.
func limit(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, errors.New("the test's time limit"))
	t.Cleanup(cancel)
	return ctx
}
