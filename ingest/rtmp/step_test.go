package rtmp

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// steppingPipe is a connection whose Stepper takes everything, and has it nowhere.
type steppingPipe struct{ net.Conn }

func (steppingPipe) Stepper() Stepper { return takesAll{} }

type takesAll struct{}

func (takesAll) WriteStep(b []byte, _ bool) (int, error) { return len(b), nil }

// playing is what a player sends, and then nothing any more.
func playing() []byte {
	return join(hello(),
		appendCommand(nil, csidCommand, 0, defaultChunkSize, "connect", 1.0, Object{{"app", "live"}}),
		appendCommand(nil, csidCommand, 0, defaultChunkSize, "createStream", 2.0, nil),
		appendCommand(nil, csidCommand, 1, defaultChunkSize, "play", 3.0, nil, "test"))
}

// There may be thousands of players: one that takes what it is sent is alive, and is not pinged.
func TestAPlayerMaySayNothingAsLongAsItTakesWhatItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		s := serve(t, steppingPipe{server}, ServerConfig{}, nil)
		drainInto(client)
		_, _ = client.Write(playing())
		if _, ok := (<-s.asked).(*PlayRequest); !ok {
			t.Fatal("no request to play")
		}
		ctx, stop := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.conn.WriteSome([]byte("media"), false); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				time.Sleep(time.Second)
			}
		})
		time.Sleep(time.Second)
		answered := s.conn.stats.bytesOut.Load()
		time.Sleep(time.Hour)
		select {
		case <-s.done:
			t.Fatalf("it was ended: %v", s.err)
		default:
		}
		if n := s.conn.stats.bytesOut.Load() - answered; n != 0 {
			t.Errorf("%d bytes of pings were sent to it", n)
		}
		stop()
		sending.Wait()
		silent := time.Now()
		<-s.done
		if after := time.Since(silent); Reason(s.err) != ReasonPeerGone || after > DefaultIdleTimeout {
			t.Errorf("when nothing was sent it ended after %v with %v", after, s.err)
		}
		if s.conn.stats.bytesOut.Load() == answered {
			t.Error("it was ended without a ping")
		}
		shut(client)
	})
}

// What a player's connection keeps for reading is little.
func TestAPlayersReadBufferIsSmall(t *testing.T) {
	c := newChunkReader(nil, new(counters))
	c.shrink()
	if len(c.buf) != playerBuffer {
		t.Errorf("the buffer has %d bytes, want %d", len(c.buf), playerBuffer)
	}
	// A message that is longer, and one that is shorter, are read all the same.
	long, short := string(make([]byte, 3*playerBuffer)), "short"
	client, server := net.Pipe()
	defer shut(client)
	c.src = server
	go func() {
		for _, text := range []string{long, short} {
			b := appendCommand(nil, csidCommand, 1, defaultChunkSize, "unknown", 0.0, nil, text)
			if _, err := client.Write(b); err != nil {
				return
			}
		}
	}()
	for _, text := range []string{long, short} {
		m, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if cmd, ok := parseCommand(m); !ok || cmd.text(0) != text {
			t.Errorf("a command with %d bytes of text came with %d", len(text), len(cmd.text(0)))
		}
	}
	shut(server)
}
