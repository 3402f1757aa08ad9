package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The measurements of the CDN's requests compare pairs within one run: the real server,
// Debian's nginx with the same files, and a net/http server that does nothing else.

// benchConnections are the kept connections of a cache's shield.
const benchConnections = 16

// bareServer is set in the environment of a process that is the bare net/http server.
const bareServer = "E2E_BARE_SERVER"

// serveBare answers every request with the bytes of a file and two header fields. It
// writes its address to standard output.
func serveBare(file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	kind, length := []string{"application/vnd.apple.mpegurl"}, []string{fmt.Sprint(len(body))}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = kind, length
		_, _ = w.Write(body)
	}))
}

// BenchmarkPlaylist measures what a request for a playlist costs the server's process.
func BenchmarkPlaylist(b *testing.B) {
	site := startSite(b)
	file := filepath.Join(b.TempDir(), "media.m3u8")
	site.save(b, site.media, file)
	site.leave()
	compare(b, 200, "cpu-µs/req",
		site.server.contender("headwater", site.media),
		startBenchNginx(b, filepath.Dir(file), "/media.m3u8"),
		startBare(b, file))
}

// BenchmarkSegmentDownload measures what the server's process takes to send segments, also on a kernel that does not
// know cachestat.
func BenchmarkSegmentDownload(b *testing.B) {
	site := startSite(b)
	site.leave()
	const each = 100
	now := site.server.contender("headwater", site.segment)
	old := site.onOldKernel(b).contender("headwater-old-kernel", site.segment)
	nginx := startBenchNginx(b, site.server.storage, site.segment)
	compare(b, each, "cpu-µs/segment", now, old, nginx)
	for _, c := range []*contender{now, old, nginx} {
		b.ReportMetric(median(c.costs)/float64(c.sent)*1e3, c.name+"-cpu-s/GB")
	}
}

// site is a running server with a stream.
type site struct {
	server         *server
	media, segment string // paths
	leave          func() // the publisher leaves
}

// startSite publishes at 2.6 Mbit/s until there is a window of segments.
func startSite(b *testing.B) *site {
	b.Helper()
	ctx := limit(b, 3*time.Minute)
	s := startSwift(b, b.TempDir(), "--stream.grace", "1h")
	src := fixtureNamed(b, "broadcast-720p").make(b)
	leave := publishLoop(b, src.path, s.publishURL("bench"))
	waitForHLS(ctx, b, s.hlsURL("bench"), 6)
	a := addressesOf(ctx, b, s.hlsURL("bench"))
	return &site{
		server:  s,
		media:   strings.TrimPrefix(a.media, s.http),
		segment: strings.TrimPrefix(a.segments[len(a.segments)-1], s.http),
		leave:   leave,
	}
}

// onOldKernel starts another server with what the first has stored.
func (s *site) onOldKernel(b *testing.B) *server {
	b.Helper()
	path, err := swift()
	dir := filepath.Join(b.TempDir(), "copy")
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(s.server.storage))
	}
	if err != nil {
		b.Fatal(err)
	}
	return launch(b, dir, onOldKernel(path), "--stream.grace", "1h")
}

func (s *server) contender(name, path string) *contender {
	return &contender{name: name, pid: s.cmd.Process.Pid, addr: strings.TrimPrefix(s.http, "http://"), path: path}
}

// save writes what the server answers to a file.
func (s *site) save(b *testing.B, path, file string) {
	b.Helper()
	f, err := fetch(limit(b, time.Minute), s.server.http+path)
	if err == nil {
		err = os.WriteFile(file, f.body, 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// startBenchNginx starts an nginx in one process that sends the files of a folder.
func startBenchNginx(b *testing.B, root, path string) *contender {
	b.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(nginx); err != nil {
		b.Fatal("this benchmark compares with nginx, which is missing: apt-get install nginx")
	}
	dir := b.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("daemon off; master_process off; pid %s/pid; error_log stderr;\nevents { worker_connections 1024; }\nhttp {\n"+
		"access_log off; sendfile on; keepalive_requests 1000000000; types { video/mp2t ts; application/vnd.apple.mpegurl m3u8; }\n"+
		"client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;\n"+
		"uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;\nserver { listen %[2]s; root %[3]s; }\n}\n", dir, addr, root)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	pid := startChild(b, exec.Command(nginx, "-c", conf, "-p", dir, "-e", "stderr"))
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return &contender{name: "nginx", pid: pid, addr: addr, path: path}
		}
		if time.Now().After(deadline) {
			b.Fatalf("nginx does not listen: %v", err)
		}
	}
}

// startBare starts this program again as the bare net/http server.
func startBare(b *testing.B, file string) *contender {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), bareServer+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	pid := startChild(b, cmd)
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &contender{name: "net/http", pid: pid, addr: strings.TrimSpace(addr), path: "/"}
}

// startChild runs a process until the benchmark ends.
func startChild(b *testing.B, cmd *exec.Cmd) (pid int) {
	b.Helper()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return cmd.Process.Pid
}
