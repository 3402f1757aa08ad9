package live

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/live/websocket"
)

// flood is a client that says as much as is read.
type flood struct{}

func (flood) Read(p []byte) (int, error) { return len(p), nil }

func TestAClientMaySayTheLargestMessageAndThenSoMuchASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := listened{in: flood{}}
		read := func(n int64) error {
			_, err := io.CopyN(io.Discard, &said, n)
			return err
		}
		if err := read(64<<10 + websocket.MaxHeader); err != nil {
			t.Fatalf("a message of 64 KiB: %v", err)
		}
		for second := range 60 {
			time.Sleep(time.Second)
			if err := read(saidRate); err != nil {
				t.Fatalf("in second %d: %v", second, err)
			}
		}
		err := read(saidRate)
		var breach *websocket.Error
		if !errors.As(err, &breach) || breach.Code != websocket.ClosePolicy {
			t.Errorf("more at once: %v", err)
		}
	})
}

func TestTheReaderOfAFloodEndsWithItsCode(t *testing.T) {
	ping := []byte{0x89, 0x80, 0, 0, 0, 0}
	in := bytes.NewReader(bytes.Repeat(ping, saidBurst/len(ping)+1_000_000))
	r := websocket.NewReader(&listened{in: in}, nil)
	for range saidBurst/len(ping) + 1_000_000 {
		_, _, _, err := r.Next()
		var breach *websocket.Error
		if errors.As(err, &breach) && breach.Code == websocket.ClosePolicy {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("a flood is read to its end")
}
