package edge

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
)

// connect returns a connection as the server has it, and its peer.
func connect(t *testing.T) (*limitedTCP, *net.TCPConn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peer := dial(t, inner.Addr().String()).(*net.TCPConn)
	conn, err := NewLimiter("http", crowd.Limits{}).Listener(inner).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = inner.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*limitedTCP), peer
}

func TestBytesArriveWholeAndInOrderWhateverTheSizes(t *testing.T) {
	conn, peer := connect(t)
	if err := errors.Join(peer.SetReadBuffer(16<<10), conn.SetWriteBuffer(16<<10)); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 6<<20)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(want) // never fails
	go func() {
		rng := rand.New(rand.NewPCG(1, 1))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), rng.IntN(3*maxPiece))
			if _, err := conn.Write(rest[:n]); err != nil {
				t.Errorf("write: %v", err)
				break
			}
			rest = rest[n:]
		}
		_ = conn.CloseWrite()
	}()
	// The peer sends them back, so that reading is tried as well.
	back := make(chan error, 1)
	go func() {
		_, err := io.Copy(struct{ io.Writer }{peer}, struct{ io.Reader }{peer})
		back <- errors.Join(err, peer.CloseWrite())
	}()
	got, err := io.ReadAll(struct{ io.Reader }{conn})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(want), err)
	}
	if err := <-back; err != nil {
		t.Error(err)
	}
}

// maxPiece is more than what is written at once.
const maxPiece = 200 << 10

func TestAConnectionFailsAsItsKindDoes(t *testing.T) {
	conn, peer := connect(t)
	var op *net.OpError
	_ = conn.SetReadDeadline(time.Now().Add(-time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	_ = conn.SetDeadline(time.Now().Add(-time.Second))
	if n, err := conn.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if n, err := conn.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if err := errors.Join(peer.SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	for { // until the reset has arrived
		if n, err := conn.Write([]byte("x")); err != nil {
			if n != 0 || !errors.As(err, &op) || op.Op != "write" {
				t.Errorf("to nobody: %d, %v", n, err)
			}
			break
		}
	}
	_ = conn.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading what is closed: %v", err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to what is closed: %v", err)
	}
}

func TestClosingAConnectionEndsWhoReadsIt(t *testing.T) {
	conn, peer := connect(t)
	failed := make(chan error, 1)
	go func() {
		b := make([]byte, 1)
		_, err := io.ReadFull(conn, b)
		if err != nil {
			failed <- err
			return
		}
		failed <- nil
		_, err = conn.Read(b)
		failed <- err
	}()
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}
