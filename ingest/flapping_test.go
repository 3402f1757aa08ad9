package ingest

import (
	"strings"
	"testing"

	"github.com/headwater-live/headwater/remux"
)

func TestTwoEncodersThatFightAreToldSo(t *testing.T) {
	o := start(t, func(_ *Config, hub *remux.Config) { hub.MaxTakeovers = 3 })
	var last interface{ Close() error }
	for range 4 {
		c := o.publish("")
		send(t, c, 0, 2)
		last = c
	}
	for range 3 {
		o.wantEnd(remux.EndTakenOver)
	}
	err := o.dial("").Publish(t.Context())
	if err == nil || !strings.Contains(err.Error(), "NetStream.Publish.BadName") || !strings.Contains(err.Error(), "taking this stream over") {
		t.Errorf("the fifth publisher in a moment got %v", err)
	}
	if n := o.server.Refusals()["flapping"]; n != 1 {
		t.Errorf("%d refusals counted as flapping: %v", n, o.server.Refusals())
	}
	if state := o.hub.Stream("live/test").Info().State; state != "live" {
		t.Errorf("the stream of the one that has it is %s", state)
	}
	// A publisher that leaves by itself is no fighter: the next one is welcome at once.
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	o.wantEnd(remux.EndUnpublished)
	o.publish("")
}
