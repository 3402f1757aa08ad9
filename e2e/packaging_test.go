package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is who runs the binary of the packages, as in its container.
const nobody = 65532

// staticBinary builds the binary as it is released, into an empty folder that can be a root.
func staticBinary(ctx context.Context, t *testing.T) (root string) {
	t.Helper()
	// A folder of the test is below folders that nobody may enter; a chroot does not mind.
	root = t.TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, "headwater"),
		"github.com/headwater-live/headwater/cmd/headwater")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the static binary: %v\n%s", err, out)
	}
	for _, dir := range []string{root, filepath.Join(root, "data")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(root, "data"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestTheStaticBinaryRunsAloneInAChroot runs the released binary the way its container does: as a user
// without rights, in a root that has nothing but it and an empty folder.
func TestTheStaticBinaryRunsAloneInAChroot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test changes the root and the user, so it must run as root")
	}
	ctx := limit(t, 5*time.Minute)
	root := staticBinary(ctx, t)
	// The probe reads where to ask from the same setting, so the port must be known before.
	admin, held := boundSocket(t)
	_ = held.Close()
	confine := &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Setpgid: true}
	env := []string{
		"HEADWATER_RTMP_ADDR=127.0.0.1:0", "HEADWATER_HTTP_ADDR=127.0.0.1:0", "HEADWATER_ADMIN_ADDR=" + admin,
		"HEADWATER_STORAGE_DIR=/data", "HEADWATER_LOG_FORMAT=json",
	}
	s := &server{storage: filepath.Join(root, "data"), exited: make(chan struct{})}
	s.cmd = exec.Command("/headwater", "serve")
	s.cmd.Dir, s.cmd.Env, s.cmd.SysProcAttr = "/", env, confine
	s.awaitReady(t)

	probe := exec.CommandContext(ctx, "/headwater", "health")
	probe.Dir, probe.Env, probe.SysProcAttr = "/", env, confine
	if out, err := probe.CombinedOutput(); err != nil {
		t.Errorf("headwater health: %v\n%s", err, out)
	}
	f := fixtureNamed(t, "high-bframes")
	pushInBackground(ctx, t, f.make(t).path, s.publishURL(f.name))
	waitForHLS(ctx, t, s.hlsURL(f.name), 2)
}

// TestSocketsOfSystemdAreServed passes bound sockets to the server the way systemd does (sd_listen_fds(3)).
func TestSocketsOfSystemdAreServed(t *testing.T) {
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	rtmp, rtmpFile := boundSocket(t)
	public, publicFile := boundSocket(t)
	s := &server{storage: t.TempDir(), exited: make(chan struct{})}
	// The process that takes the sockets is named by its id, which the shell hands on.
	s.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh",
		path, "serve", "--rtmp.addr", "192.0.2.1:1", "--http.addr", "192.0.2.1:2", "--admin.addr", "127.0.0.1:0",
		"--storage.dir", s.storage, "--log.format", "json")
	s.cmd.Dir, s.cmd.SysProcAttr = t.TempDir(), &syscall.SysProcAttr{Setpgid: true}
	s.cmd.ExtraFiles = []*os.File{rtmpFile, publicFile}
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LISTEN_FDS=2", "LISTEN_FDNAMES=rtmp:http"}
	notified := listenForNotes(t, s.cmd)
	s.awaitReady(t)
	if s.http != "http://"+public || s.rtmp != "rtmp://"+rtmp {
		t.Errorf("serves %s and %s, was passed http://%s and rtmp://%s", s.http, s.rtmp, public, rtmp)
	}
	if note := <-notified; note != "READY=1" {
		t.Errorf("systemd was told %q", note)
	}
	resp, err := http.Get("http://" + public + "/live/none.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the passed socket answers %s", resp.Status)
	}
	if err := s.stop(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if note := <-notified; note != "STOPPING=1" {
		t.Errorf("systemd was told %q", note)
	}
}

// boundSocket binds a port for somebody else to serve.
func boundSocket(t *testing.T) (addr string, f *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // its duplicate stays
	if f, err = l.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return l.Addr().String(), f
}

// listenForNotes makes the socket that a service tells its state to.
func listenForNotes(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+name)
	notes := make(chan string, 8)
	go func() {
		defer close(notes)
		buf := make([]byte, 512)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			notes <- string(buf[:n])
		}
	}()
	return notes
}

// TestTheUnitsOfSystemdAreValid has systemd read them.
func TestTheUnitsOfSystemdAreValid(t *testing.T) {
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	units, err := filepath.Glob("../packaging/systemd/*")
	if err != nil || len(units) != 3 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	var copies []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Base(unit))
		// The program must exist where a unit says.
		if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), "/usr/bin/headwater", path)), 0o644); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, to)
	}
	out, err := exec.CommandContext(limit(t, time.Minute), "systemd-analyze", append([]string{"verify", "--man=no"}, copies...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) || strings.Contains(line, "headwater") {
			t.Errorf("systemd-analyze: %s", line)
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
