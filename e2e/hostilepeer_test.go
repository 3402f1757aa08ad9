package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// hello is C0, C1 and C2 in one.
var hello = append([]byte{3}, make([]byte, 2*1536)...)

// command returns an RTMP command in chunks of 128 bytes.
func rtmpCommand(stream uint32, values ...any) []byte {
	return rtmp.AppendMessage(nil, 3, 20, stream, 0, 128, rtmp.AppendAMF0(nil, values...))
}

// rawCommand is a command whose values after the transaction are bytes as they are.
func rawCommand(name string, rest []byte) []byte {
	return rtmp.AppendMessage(nil, 3, 20, 0, 0, 128, append(rtmp.AppendAMF0(nil, name, 1.0), rest...))
}

// connected is what a client sends before it publishes or plays.
func connected() []byte {
	b := bytes.Clone(hello)
	b = append(b, rtmpCommand(0, "connect", 1.0, rtmp.Object{{Name: "app", Value: app}})...)
	return append(b, rtmpCommand(0, "createStream", 2.0, nil)...)
}

// publishing is what a publisher sends before its media.
func publishing(name string) []byte {
	return append(connected(), rtmpCommand(1, "publish", 3.0, nil, name, "live")...)
}

func playing(name string) []byte {
	return append(connected(), rtmpCommand(1, "play", 3.0, nil, name, -2.0)...)
}

// chunkHeader is the header of type 0 of a message on a chunk stream above 319.
func chunkHeader(csid uint32, kind byte, length int) []byte {
	return []byte{
		1, byte(csid - 64), byte((csid - 64) >> 8),
		0, 0, 0, byte(length >> 16), byte(length >> 8), byte(length), kind, 1, 0, 0, 0,
	}
}

func (s *server) dialRTMP(ctx context.Context) (*net.TCPConn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(s.rtmp, "rtmp://"))
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// closedBy reads until the server closes and returns an error if it has not done so in time.
func closedBy(c net.Conn, deadline time.Time) error {
	if err := c.SetReadDeadline(deadline); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return fmt.Errorf("still open")
	}
	return nil // the end, or a reset
}

// memory is a line of /proc/PID/status in bytes: VmRSS is what the process uses, VmHWM the
// most it has used.
func (s *server) memory(t *testing.T, line string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), line+":")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.Atoi(kb)
	if err != nil {
		t.Fatalf("%s is not in %q", line, status)
	}
	return n << 10
}

// forgetPeak makes VmHWM begin anew.
func (s *server) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

func (s *server) descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// alive fails the test if the process has ended.
func (s *server) alive(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
		t.Fatalf("the server has died: %v", s.err)
	default:
	}
}
