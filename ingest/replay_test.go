package ingest

import (
	"bytes"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// TestAPlayerMayPlayAgainOnTheSameMessageStream has a player whose stream has ended ask for the next without a
// closeStream between, as a NetStream does.
func TestAPlayerMayPlayAgainOnTheSameMessageStream(t *testing.T) {
	o := start(t, func(_ *Config, h *remux.Config) { h.Grace = 50 * time.Millisecond })
	p := o.publish("")
	player := o.dialRaw()
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []byte
	until := func(what string) {
		t.Helper()
		_ = player.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		for b := make([]byte, 4096); !bytes.Contains(all, []byte(what)); {
			n, err := player.nc.Read(b)
			if err != nil {
				t.Fatalf("no %q: %v", what, err)
			}
			all = append(all, b[:n]...)
		}
		all = nil
	}
	send(t, p, 0, 50)
	until(string(aacFrame[1:50]))
	_ = p.Close()
	until(rtmp.CodePlayStop)
	player.command(t, rtmp.FirstStreamID, "play", 0.0, nil, "test")
	until(rtmp.CodePlayStart)
	send(t, o.publish(""), 0, 50)
	until(string(aacFrame[1:50]))
}
