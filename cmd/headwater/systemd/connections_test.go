//go:build unix

package systemd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ends returns both ends of what connections go over.
func ends(t *testing.T) (*Next, *Before) {
	t.Helper()
	here, there, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return &Next{conns: here.(*net.UnixConn)}, &Before{conns: there.(*net.UnixConn)}
}

// accepted returns both ends of a TCP connection.
func accepted(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the connection stays
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

func TestConnectionsGoOnInAnotherProcess(t *testing.T) {
	next, before := ends(t)
	client, server := accepted(t)
	far, near, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close() //nolint:errcheck // a test
	large := bytes.Repeat([]byte("state"), 1<<20)
	sent := make(chan error, 1)
	go func() {
		_, err := next.SendConnections([]Connection{{server, large}, {near, []byte("small")}}, long)
		sent <- err
		_, _ = server.Close(), near.Close() // the other process has them
	}()
	got, err := before.Connections(long)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !bytes.Equal(got[0].State, large) || string(got[1].State) != "small" {
		t.Fatalf("%d connections have come, or with other states", len(got))
	}
	if at := got[0].RemoteAddr().String(); at != client.LocalAddr().String() {
		t.Errorf("it comes from %s, want %s", at, client.LocalAddr())
	}
	for i, other := range []net.Conn{client, far} {
		defer got[i].Close() //nolint:errcheck // a test
		if _, err := other.Write([]byte("there")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(got[i], b); err != nil || string(b) != "there" {
			t.Errorf("read %q, %v", b, err)
		}
		if err := got[i].SetReadDeadline(time.Now()); err != nil {
			t.Error(err)
		}
		if _, err := got[i].Read(b); err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("a deadline has no effect: %v", err)
		}
	}
}

func TestWhatIsNoConnectionIsAnError(t *testing.T) {
	for name, write := range map[string]func(*net.UnixConn) error{
		"an end without a word": func(*net.UnixConn) error { return nil },
		"half a header":         func(c *net.UnixConn) error { _, err := c.Write([]byte{0, 0}); return err },
		"a state alone":         func(c *net.UnixConn) error { _, err := c.Write([]byte{0, 0, 0, 1, 'x'}); return err },
		"a descriptor without a state": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{0, 0, 0, 0}, syscall.UnixRights(0), nil)
			return err
		},
		"a file": func(c *net.UnixConn) error {
			_, _, err := c.WriteMsgUnix([]byte{0, 0, 0, 1, 'x'}, syscall.UnixRights(0), nil)
			return err
		},
		"a state beyond all bounds": func(c *net.UnixConn) error {
			_, server := accepted(t)
			return sendDescriptor(c, []byte{0xff, 0, 0, 0}, server)
		},
		"half a state": func(c *net.UnixConn) error {
			_, server := accepted(t)
			return sendDescriptor(c, []byte{0, 0, 0, 9, 'x'}, server)
		},
	} {
		next, before := ends(t)
		if err := errors.Join(write(next.conns), next.conns.Close()); err != nil {
			t.Fatal(err)
		}
		if got, err := before.Connections(long); err == nil || len(got) != 0 {
			t.Errorf("%s: %d connections, %v", name, len(got), err)
		}
	}
	_, before := ends(t)
	if _, err := before.Connections(time.Millisecond); err == nil {
		t.Error("it waits for ever")
	}
}

// TestAConnectionThatCannotGoOverHoldsUpNobody has one that goes over stand between all kinds that do not.
func TestAConnectionThatCannotGoOverHoldsUpNobody(t *testing.T) {
	next, before := ends(t)
	_, server := accepted(t)
	_, closed := accepted(t)
	_ = closed.Close()
	pipe, _ := net.Pipe()
	sent := make(chan error, 1)
	go func() {
		if _, _, err := next.conns.WriteMsgUnix([]byte{0, 0, 0, 1, 'x'}, syscall.UnixRights(0), nil); err != nil { // a file
			sent <- err
			return
		}
		left, err := next.SendConnections([]Connection{
			{server, nil}, {pipe, []byte("x")}, {closed, []byte("x")}, {server, make([]byte, maxState+1)}, {server, []byte("state")},
		}, long)
		if len(left) != 4 {
			t.Errorf("left out: %v", left)
		}
		sent <- err
	}()
	got, err := before.Connections(long)
	if err == nil {
		t.Error("the file that has come is not named")
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || string(got[0].State) != "state" {
		t.Fatalf("%d connections have come", len(got))
	}
	_ = got[0].Close()
}

func TestConnectionsAreForProcessesThatKnowTheirFormat(t *testing.T) {
	for script, takes := range map[string]bool{
		`exec 8<&5; printf '\001' >&8; echo prepared >&9; exec sleep 600`: true,
		`exec 8<&5; printf '\002' >&8; echo prepared >&9; exec sleep 600`: false,
		`exec 5<&-; echo prepared >&9; exec sleep 600`:                    false,
	} {
		next, _ := handTo(t, `[ "$LISTEN_CONNECTIONS" = 5:1 ] || exit 1; `+script)
		if err := next.AwaitPrepared(long); err != nil {
			t.Fatal(err)
		}
		if next.TakesConnections() != takes {
			t.Errorf("%s: takes connections: %t", script, !takes)
		}
	}
	for value, want := range map[string]int{
		"5:1": 5, "5:2": 0, "5": 0, "": 0, "x:1": 0, "2:1": 0, strconv.Itoa(firstSocket+maxSockets+2) + ":1": 0,
	} {
		if got := connectionsSocket(value); got != want {
			t.Errorf("%q: descriptor %d, want %d", value, got, want)
		}
	}
	var none *Before
	if got, err := none.Connections(long); got != nil || err != nil {
		t.Errorf("without a process before: %v, %v", got, err)
	}
}
