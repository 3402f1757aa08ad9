package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// rival is another server.
type rival struct {
	name string
	// path is its program; "" is not installed.
	path string
	// config writes its configuration into a folder and returns its arguments.
	config func(dir string, rtmp, http int) ([]string, error)
	// flv is the path of a stream over HTTP-FLV, "" where it has none.
	flv string
}

// others measures other servers, and Headwater right after each. A rival writes at once or by its own
// merging, so Headwater is measured with both ends of its own setting.
func (m *measurer) others(ctx context.Context, rivals []rival) error {
	fmt.Println(header)
	for _, r := range rivals {
		if r.path == "" {
			fmt.Fprintln(os.Stderr, r.name, "is not here")
			continue
		}
		if err := m.rival(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	for _, latency := range []string{"0s", "50ms"} {
		for _, kind := range []string{"rtmp", "flv"} {
			report, err := m.bench(ctx, "--start", "--"+kind, "300", "--", "--flv.latency="+latency, "--hls.enabled=false")
			if err != nil {
				return err
			}
			fmt.Println(row(fmt.Sprintf("Headwater, %s, %s", kind, latency), report))
		}
	}
	return nil
}

// rival starts a server, measures it and stops it.
func (m *measurer) rival(ctx context.Context, r rival) error {
	dir, err := os.MkdirTemp("", "measure-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rtmp, http, err := freePorts()
	if err != nil {
		return err
	}
	args, err := r.config(dir, rtmp, http)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, r.path, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		stop()
		return err
	}
	defer func() {
		stop()
		_ = cmd.Wait() // it was asked to end
	}()
	if err := listening(ctx, rtmp); err != nil {
		return err
	}
	url := fmt.Sprintf("rtmp://127.0.0.1:%d/live/bench", rtmp)
	common := []string{"--publish", url, "--pid", strconv.Itoa(cmd.Process.Pid), "--max-lost", "-1"}
	report, err := m.bench(ctx, append(common, "--rtmp", "300", "--rtmp-url", url)...)
	if err != nil {
		return err
	}
	fmt.Println(row(r.name+", rtmp", report))
	if r.flv == "" {
		return nil
	}
	report, err = m.bench(ctx, append(common, "--flv", "300", "--flv-url", fmt.Sprintf("http://127.0.0.1:%d%s", http, r.flv))...)
	if err != nil {
		return err
	}
	fmt.Println(row(r.name+", flv", report))
	return nil
}

// nginxRTMP is nginx with its RTMP module as Debian has it.
func nginxRTMP(program, module string) rival {
	path, err := exec.LookPath(program)
	if _, moduleErr := os.Stat(module); err != nil || moduleErr != nil {
		path = ""
	}
	return rival{name: "nginx-rtmp", path: path, config: func(dir string, rtmp, _ int) ([]string, error) {
		text := fmt.Sprintf(`load_module %s;
daemon off; master_process off;
pid %s/pid; error_log %s/error.log;
events { worker_connections 4096; }
rtmp { server { listen 127.0.0.1:%d; application live { live on; } } }
`, module, dir, dir, rtmp)
		file := filepath.Join(dir, "nginx.conf")
		return []string{"-c", file, "-p", dir}, os.WriteFile(file, []byte(text), 0o600)
	}}
}

// lalServer is lal with RTMP and HTTP-FLV.
func lalServer(path string) rival {
	return rival{name: "lal", path: path, flv: "/live/bench.flv", config: func(dir string, rtmp, http int) ([]string, error) {
		text := fmt.Sprintf(`{"conf_version": "v0.4.1",
"rtmp": {"enable": true, "addr": "127.0.0.1:%d", "gop_num": 1},
"default_http": {"http_listen_addr": "127.0.0.1:%d"},
"httpflv": {"enable": true, "url_pattern": "/", "gop_num": 1},
"hls": {"enable": false}, "httpts": {"enable": false}, "rtsp": {"enable": false}, "http_api": {"enable": false}, "pprof": {"enable": false},
"log": {"level": 4, "filename": "%s/lal.log", "is_to_stdout": false}}
`, rtmp, http, dir)
		file := filepath.Join(dir, "lal.json")
		return []string{"-c", file}, os.WriteFile(file, []byte(text), 0o600)
	}}
}

// freePorts returns two ports that nobody had a moment ago: these servers cannot tell which one they got.
func freePorts() (first, second int, err error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// listening waits until a server accepts connections.
func listening(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return nc.Close()
		}
		select {
		case <-ctx.Done():
			return errors.New("it does not listen")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
