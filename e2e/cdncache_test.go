package e2e

import (
	"context"
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

// caches start each caching proxy with an origin behind it. They return the path of the
// socket on which it listens, which unlike a port nobody else can take.
var caches = map[string]func(t *testing.T, origin string) (socket string){
	"nginx": startNginx, "Varnish": startVarnish,
}

// throughCache is where a cache seems to be: its client dials the socket.
const throughCache = "http://cache.example"

// clientOf returns a client of a cache, like viewerClient.
func clientOf(socket string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			},
			DisableCompression:  true,
			MaxIdleConnsPerHost: loadConnections,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// example returns an example of the documentation with some of its text replaced. Each
// text must be there once.
func example(t *testing.T, path string, replace map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs/examples", path))
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	for old, now := range replace {
		if strings.Count(s, old) != 1 {
			t.Fatalf("%s has %q %d times", path, old, strings.Count(s, old))
		}
		s = strings.Replace(s, old, now, 1)
	}
	return s
}

// startNginx starts nginx with the example of the documentation in front of an origin.
func startNginx(t *testing.T, origin string) string {
	t.Helper()
	return startNginxWith(t, origin, func(conf string) string { return conf })
}

// startNginxWith starts it with an example that is changed.
func startNginxWith(t *testing.T, origin string, change func(string) string) string {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	conf := example(t, "nginx/headwater.conf", map[string]string{
		"/var/cache/nginx/headwater": filepath.Join(dir, "cache"),
		"127.0.0.1:8080":             strings.TrimPrefix(origin, "http://"),
		"listen 80;":                 "listen unix:" + socket + ";",
		"listen unix:/run/headwater-playlists.socket;":            "listen unix:" + dir + "/playlists;",
		"proxy_pass http://unix:/run/headwater-playlists.socket;": "proxy_pass http://unix:" + dir + "/playlists;",
	})
	main := fmt.Sprintf("daemon off; pid %s/pid; worker_processes 1; user root;\nevents { worker_connections 1024; }\nhttp {\n"+
		"access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;\n"+
		"uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;\n%[2]s}\n", dir, change(conf))
	if os.Geteuid() != 0 {
		main = strings.Replace(main, "user root;", "", 1)
	}
	path := filepath.Join(dir, "nginx.conf")
	writeFile(t, path, []byte(main))
	daemon(t, "nginx", "nginx", "-c", path, "-e", filepath.Join(dir, "error.log"), "-p", dir)
	awaitListener(t, socket)
	return socket
}

// startVarnish starts Varnish with the example of the documentation in front of an origin.
func startVarnish(t *testing.T, origin string) string {
	t.Helper()
	return startVarnishWith(t, origin, func(vcl string) string { return vcl })
}

// startVarnishWith starts it with an example that is changed.
func startVarnishWith(t *testing.T, origin string, change func(string) string) string {
	t.Helper()
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(origin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "headwater.vcl")
	writeFile(t, path, []byte(change(example(t, "varnish/headwater.vcl", map[string]string{
		`.host = "127.0.0.1"`: `.host = "` + host + `"`,
		`.port = "8080"`:      `.port = "` + port + `"`,
	}))))
	socket := filepath.Join(dir, "socket")
	daemon(t, "varnishd", "varnish", "-F", "-f", path, "-a", socket, "-n", filepath.Join(dir, "work"), "-s", "malloc,128m",
		"-j", "none", "-p", "http_gzip_support=off", "-p", "thread_pools=1", "-p", "thread_pool_min=20")
	awaitListener(t, socket)
	return socket
}

// daemon runs a program until the test ends.
func daemon(t *testing.T, name, debian string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil { // daemons are not in everybody's PATH
		path = filepath.Join("/usr/sbin", name)
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("this test needs %s: apt-get install %s", name, debian)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := isolate(exec.CommandContext(ctx, path, args...))
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, tail(log.String(), 4<<10))
		}
	})
}

func awaitListener(t *testing.T, socket string) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s: %v", socket, err)
		}
	}
}
