package systemd

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// passed binds a listener and returns a descriptor of it that nobody else closes.
func passed(t *testing.T) (fd int, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // its duplicate stays
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	return detach(t, f), l.Addr().String()
}

func TestAPassedSocketIsTakenOnce(t *testing.T) {
	fd, addr := passed(t)
	s, err := take(fd, 1, []string{"rtmp"}, []string{"rtmp", "http"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := s.Take("rtmp")
	if l == nil {
		t.Fatal("it is not there")
	}
	defer l.Close() //nolint:errcheck // a test
	if got := l.Addr().String(); got != addr {
		t.Errorf("listens on %s, was passed %s", got, addr)
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = conn.Close()
		}
		accepted <- err
	}()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	if s.Take("http") != nil || s.Take("rtmp") != nil {
		t.Error("there are sockets that nobody passed, or one twice")
	}
}

func TestSocketsThatCannotBeTakenOverAreNamed(t *testing.T) {
	for _, test := range []struct {
		names, want string
	}{
		{"rtpm", `its FileDescriptorName is "rtpm", not one of rtmp, http`},
		{"", `its FileDescriptorName is "", not one of`},
	} {
		fd, addr := passed(t)
		_, err := take(fd, 1, strings.Split(test.names, ":"), []string{"rtmp", "http"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("name %q: %v", test.names, err)
		}
		if l, err := net.Listen("tcp", addr); err != nil {
			t.Errorf("the refused socket is still bound: %v", err)
		} else {
			_ = l.Close()
		}
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := take(detach(t, f), 1, []string{"rtmp"}, []string{"rtmp"}); err == nil {
		t.Error("a file was taken for a socket")
	}
}

func TestSocketsForAnotherProcessAreLeftAlone(t *testing.T) {
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+1))
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "rtmp")
	if s, err := Inherit("rtmp"); err != nil || len(s) != 0 {
		t.Errorf("took %v, %v", s, err)
	}
	if _, there := os.LookupEnv("LISTEN_FDS"); there {
		t.Error("a child would see LISTEN_FDS")
	}
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	for _, count := range []string{"", "x", "-1", "17"} {
		t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		t.Setenv("LISTEN_FDS", count)
		if _, err := Inherit("rtmp"); err == nil {
			t.Errorf("LISTEN_FDS %q was accepted", count)
		}
	}
}

func TestTheStateIsTold(t *testing.T) {
	if err := Notify(Ready); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	t.Setenv("NOTIFY_SOCKET", name)
	if err := Notify(Ready); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("told %q, %v", buf[:n], err)
	}
}
