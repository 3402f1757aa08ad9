package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// publishedFile has what a publisher sends of it, in the words of receive.
func publishedFile(t *testing.T) (path string, want []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file.flv")
	tags := []fileTag{metadata(0), videoConfig(0), video(500), audio(505), video(540)}
	if err := os.WriteFile(path, testFile(tags...), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, at := range []uint32{0, 0, 0, 5, 40} {
		want = append(want, fmt.Sprintf("%d@%d:%x", tags[i].kind, at, tags[i].body))
	}
	return path, want
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// receive takes one connection. It accepts a publication and returns up to most of its messages, or refuses
// it with a code.
func receive(t *testing.T, l net.Listener, most int, refuse string) (request rtmp.PublishRequest, messages []string) {
	t.Helper()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := rtmp.NewServerConn(nc, rtmp.ServerConfig{})
	defer conn.Close() //nolint:errcheck // the peer may be gone
	if err := conn.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(messages) < most {
		event, err := conn.Next()
		if err != nil {
			return request, messages
		}
		switch event := event.(type) {
		case *rtmp.PublishRequest:
			request = *event
			if refuse != "" {
				if err := conn.Reject(event, refuse, "the name is taken"); err != nil {
					t.Error(err)
				}
				return request, nil
			}
			if err := conn.AcceptPublish(event); err != nil {
				t.Fatal(err)
			}
		case *rtmp.Media:
			messages = append(messages, fmt.Sprintf("%d@%d:%x", event.Type, event.Timestamp, event.Payload))
		case *rtmp.Unpublish:
			if event.Cause != nil {
				t.Errorf("the publication did not end in order: %v", event.Cause)
			}
		}
	}
	return request, messages
}

func startPublish(t *testing.T, args ...string) (cmd *exec.Cmd, stderr *strings.Builder) {
	t.Helper()
	cmd, stderr = command(t, "headwater", append([]string{"publish"}, args...)...), new(strings.Builder)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stderr
}

func TestPublishSendsTheFileAndEndsInOrder(t *testing.T) {
	l := listen(t)
	path, want := publishedFile(t)
	cmd, stderr := startPublish(t, path, "rtmp://"+l.Addr().String()+"/live/test?token=hush")
	request, got := receive(t, l, everything, "")
	if err := cmd.Wait(); err != nil || stderr.Len() != 0 {
		t.Errorf("publish: %v, %q", err, stderr)
	}
	if request.App != "live" || request.Name != "test" || request.Query != "token=hush" {
		t.Errorf("published as %s/%s", request.App, request.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPublishSaysThatItWasRefused(t *testing.T) {
	for _, loop := range []string{"--loop=false", "--loop"} {
		l := listen(t)
		path, _ := publishedFile(t)
		cmd, stderr := startPublish(t, path, "rtmp://"+l.Addr().String()+"/live/test?token=hush", loop)
		receive(t, l, everything, rtmp.CodePublishBadName)
		err := cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed {
			t.Errorf("%s: exit code %d (%v)", loop, code, err)
		}
		if text := stderr.String(); !strings.Contains(text, "the name is taken") || strings.Contains(text, "hush") {
			t.Errorf("%s: %q", loop, text)
		}
	}
}

func TestPublishLoopOutlivesTheServerAndEndsOnASignal(t *testing.T) {
	l := listen(t)
	path, want := publishedFile(t)
	cmd, stderr := startPublish(t, path, "rtmp://"+l.Addr().String()+"/live/test", "--loop")
	_, first := receive(t, l, len(want)+1, "")
	_, second := receive(t, l, len(want), "")
	if !slices.Equal(first[:len(want)], want) || !strings.HasPrefix(first[len(want)], "18@40:") {
		t.Errorf("on the first connection the server got\n%s", strings.Join(first, "\n"))
	}
	// The file begins anew, the time does not.
	if len(second) != len(want) || !strings.HasPrefix(second[1], "9@") || strings.HasPrefix(second[2], "9@0:") {
		t.Errorf("on the second connection the server got\n%s", strings.Join(second, "\n"))
	}
	nc, err := l.Accept() // the third connection: it is trying
	if err != nil {
		t.Fatal(err)
	}
	send(t, cmd, os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
	_ = nc.Close() // the peer has ended
	if n := strings.Count(stderr.String(), "; trying again in "); n != 2 {
		t.Errorf("%d notes of two losses: %q", n, stderr)
	}
}
