package ingest

import (
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// TestOfTwoPublicationsTheSilentOneEnds, for the reason for which a silent connection does, and the other goes on.
func TestOfTwoPublicationsTheSilentOneEnds(t *testing.T) {
	o := start(t, func(c *Config, _ *remux.Config) { c.MediaTimeout = 2 * time.Second })
	p, h := o.publishHeard("test")
	p.command(t, 0, "createStream", 3.0, nil)
	p.command(t, 2, "publish", 4.0, nil, "other")
	h.want(t, 2, rtmp.CodePublishStart)
	p.audio(t, 2, 0, aacHeader)
	sent := uint32(0)
	more := func() {
		p.audio(t, 2, sent*23, aacFrame)
		sent++
	}
	for deadline := time.Now().Add(30 * time.Second); len(o.ended) == 0; time.Sleep(10 * time.Millisecond) {
		more()
		if time.Now().After(deadline) {
			t.Fatal("the silent publication does not end")
		}
	}
	o.wantEnd(remux.EndSilent)
	h.want(t, 1, rtmp.CodeUnpublish)
	p.audio(t, 1, 2000, aacFrame) // too late, and not the other's
	more()
	waitFor(t, "all of the other has come", func() bool {
		info := o.hub.Stream("live/other").Info()
		return info.State == "live" && info.Publication.Counters.Messages == uint64(1+sent)
	})
	if info := o.hub.Stream("live/test").Info(); info.State != "idle" {
		t.Errorf("the silent stream is %s", info.State)
	}
	if n := len(o.ended); n != 0 {
		t.Errorf("%d other publications have ended", n)
	}
}
