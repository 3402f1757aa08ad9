//go:build unix

package systemd

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// relayEnds returns both processes' ends.
func relayEnds(t *testing.T) (*Next, *Relays) {
	t.Helper()
	ours, fd, err := connectionsPair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := unixConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	relays := (&Before{relay: theirs}).Relays()
	handover, _, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	n := &Next{relay: ours, conn: handover, relayTime: relayTime}
	t.Cleanup(func() { n.Leave(); _ = relays.Close() })
	before := &Before{relay: theirs}
	if err := before.offerRelay(); err != nil {
		t.Fatal(err)
	}
	n.heardRelayOffer()
	return n, relays
}

func TestAProcessConnectsToTheNextOne(t *testing.T) {
	next, relays := relayEnds(t)
	for _, kind := range []byte{RelayAnnounced, RelayOther, RelayAnnounced} {
		conn, err := next.Dial(kind)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // a test
		if _, err := conn.Write([]byte{kind}); err != nil {
			t.Fatal(err)
		}
	}
	if err := next.Announced(); err != nil {
		t.Fatal(err)
	}
	late, err := next.Dial(RelayAnnounced)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close() //nolint:errcheck // a test
	for _, want := range []byte{RelayAnnounced, RelayOther, RelayAnnounced, 0} {
		conn, err := relays.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var got [1]byte
		if want == 0 {
			_ = late.Close() // the other end is this one's
			if n, err := conn.Read(got[:]); n != 0 || err == nil {
				t.Error("a connection does not end")
			}
		} else if _, err := conn.Read(got[:]); err != nil || got[0] != want {
			t.Errorf("read %q, %v", got, err)
		}
		_ = conn.Close()
	}
	if n := <-relays.Announced(); n != 2 {
		t.Errorf("%d connections were announced", n)
	}
	next.Leave()
	if _, err := relays.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := next.Dial(RelayOther); err == nil {
		t.Error("one can connect after the end")
	}
}

func TestAProcessThatTakesNoConnectionsIsAskedOnlyOnce(t *testing.T) {
	next, _ := relayEnds(t)
	next.relayTime = 50 * time.Millisecond
	fill := func() (n int) {
		for n < 10_000 {
			conn, err := next.Dial(RelayOther)
			if err != nil {
				break
			}
			_ = conn.Close()
			n++
		}
		return n
	}
	if n := fill(); n == 10_000 {
		t.Fatal("there is no end to what can be sent")
	}
	began := time.Now()
	for range 100 {
		if _, err := next.Dial(RelayOther); !errors.Is(err, errNoAnswer) {
			t.Fatalf("asked again: %v", err)
		}
	}
	if took := time.Since(began); took > 100*next.relayTime/2 {
		t.Errorf("it was waited for once more: %v", took)
	}
	if err := next.Announced(); err == nil {
		t.Error("it can be told something")
	}

	next, _ = relayEnds(t)
	next.relayTime = time.Hour
	done := make(chan int)
	go func() { done <- fill() }()
	time.AfterFunc(100*time.Millisecond, next.Silence)
	select {
	case <-done:
	case <-time.After(long):
		t.Fatal("whoever waits to send a connection cannot be stopped")
	}
}

func TestAProcessThatDoesNotOfferToAnswerIsNotAsked(t *testing.T) {
	for _, said := range []string{"", "2"} {
		ours, fd, err := connectionsPair()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := unixConn(fd)
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close() //nolint:errcheck // a test
		n := &Next{relay: ours, relayTime: relayTime}
		defer ours.Close() //nolint:errcheck // a test
		if _, err := theirs.Write([]byte(said)); err != nil {
			t.Fatal(err)
		}
		n.heardRelayOffer()
		if _, err := n.Dial(RelayOther); err == nil {
			t.Errorf("%q: it is asked", said)
		}
		if n.Announced() == nil || n.AwaitRetired() == nil {
			t.Errorf("%q: it counts as one that answers", said)
		}
	}
}

func TestAProcessSaysThatItHasHandedOver(t *testing.T) {
	next, relays := relayEnds(t)
	before := &Before{relay: relays.conn}
	before.Retired()
	before.Retired()
	for range 2 {
		if err := next.AwaitRetired(); err != nil {
			t.Fatal(err)
		}
	}
	_ = relays.Close()
	if err := next.AwaitRetired(); !errors.Is(err, io.EOF) {
		t.Errorf("when it has gone: %v", err)
	}
	before.Retired() // nobody is there to hear it
	(*Before)(nil).Retired()
}

func TestWhatIsNoConnectionIsNotAccepted(t *testing.T) {
	next, relays := relayEnds(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // a test
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		_, _, err = next.relay.WriteMsgUnix([]byte{RelayOther}, syscall.UnixRights(int(fd)), nil)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := relays.Accept(); err == nil {
		t.Error("a file was accepted")
	}
	if (&Before{}).Relays() != nil || (*Before)(nil).Relays() != nil {
		t.Error("there are connections of no process")
	}
	for value, ok := range map[string]bool{"": true, "x": false, "2": false, "99": false} {
		t.Setenv(relayVariable, value)
		if conn, err := relaySocket(); conn != nil || (err == nil) != ok {
			t.Errorf("%q: %v, %v", value, conn, err)
		}
		if _, there := syscall.Getenv(relayVariable); there {
			t.Error("a child would see the variable")
		}
	}
}
