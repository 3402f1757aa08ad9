package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// await reads lines until one contains text.
func await(t *testing.T, r *bufio.Scanner, text string) {
	t.Helper()
	for r.Scan() {
		if strings.Contains(r.Text(), text) {
			return
		}
	}
	t.Fatalf("ended without %q: %v", text, r.Err())
}

func lines(t *testing.T, pipe func() (io.ReadCloser, error)) *bufio.Scanner {
	t.Helper()
	r, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(r)
}

func send(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestServeSaysWhereItIsReloadsAndEndsCleanly(t *testing.T) {
	for _, ending := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := command(t, "headwater", "serve")
		file := filepath.Join(cmd.Dir, "headwater.yaml")
		write := func(extra string) {
			t.Helper()
			yaml := "rtmp.addr: 127.0.0.1:0\nhttp.addr: 127.0.0.1:0\nadmin.addr: 127.0.0.1:0\nstorage.kind: memory\n" + extra
			if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("")
		stdout, stderr := lines(t, cmd.StdoutPipe), lines(t, cmd.StderrPipe)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, stdout, "OBS stream key")
		await(t, stdout, "index.m3u8")

		write("hls.window: no\nnonsense: 1\n")
		send(t, cmd, syscall.SIGHUP)
		await(t, stderr, "nonsense (headwater.yaml:6): unknown key")
		await(t, stderr, `hls.window (headwater.yaml:5)`)
		write("hls.window: 7\nstorage.sync: true\nlog.level: error\n")
		send(t, cmd, syscall.SIGHUP)
		await(t, stderr, `msg="setting changes at the next start only" key=storage.sync from=false to=true`)
		await(t, stderr, `msg="setting changed" key=hls.window from=6 to=7 for="new streams"`)
		await(t, stderr, `msg="setting changed" key=log.level from=info to=error`)

		send(t, cmd, ending)
		for stdout.Scan() || stderr.Scan() { //nolint:revive // read to the end before Wait closes the pipes
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v", ending, err)
		}
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := command(t, "stubborn")
		stdout := lines(t, cmd.StdoutPipe)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, stdout, "ready")
		send(t, cmd, syscall.SIGTERM)
		await(t, stdout, "draining")
		// The first signal's handler is taken away beside the drain, and nothing tells when. So the second is
		// repeated, as a person would, until it counts.
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		err := insist(cmd, second, ended)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != second {
			t.Errorf("the second signal: %v", err)
		}
	}
}

// insist sends a signal until the process has ended.
func insist(cmd *exec.Cmd, s os.Signal, ended <-chan error) error {
	for {
		_ = cmd.Process.Signal(s) // it may have ended by now
		select {
		case err := <-ended:
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
