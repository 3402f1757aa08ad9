package ingest

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// TestAPlayerThatFloodsIsSentAway has a player seek as a viewer may, after which it still gets what is published, and
// then as no viewer does.
func TestAPlayerThatFloodsIsSentAway(t *testing.T) {
	o := start(t, nil)
	publisher := o.publish("")
	send(t, publisher, 0, 10)
	player := o.dialRaw()
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	seek := rtmp.AppendMessage(nil, 3, 20, 1, 0, 128, rtmp.AppendAMF0(nil, "seek", 0.0, nil, 1000.0))
	if _, err := player.nc.Write(bytes.Repeat(seek, 500)); err != nil {
		t.Fatal(err)
	}
	received := make(chan *rtmp.Media, 1000)
	ended := make(chan error, 1)
	go func() {
		for {
			m, err := player.ReadMedia()
			if err != nil {
				ended <- err
				return
			}
			kept := *m
			received <- &kept
		}
	}()
	send(t, publisher, 10*23, 200)
	for deadline := time.After(20 * time.Second); ; {
		select {
		case m := <-received:
			if m.Timestamp < 200*23 {
				continue
			}
		case err := <-ended:
			t.Fatalf("a viewer that seeks is sent away: %v", err)
		case <-deadline:
			t.Fatal("a viewer that seeks gets nothing more")
		}
		break
	}
	_ = player.nc.SetWriteDeadline(time.Now().Add(20 * time.Second))
	for {
		if _, err := player.nc.Write(bytes.Repeat(seek, 100)); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("a player that floods is not sent away")
			}
			break
		}
	}
	select {
	case err := <-ended:
		t.Logf("it sees %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("a player that floods is still sent the stream")
	}
	for end := time.Now().Add(20 * time.Second); o.server.Refusals()[ReasonPlayerFlood] != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counted: %v", o.server.Refusals())
		}
	}
}
