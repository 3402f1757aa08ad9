//go:build unix

package main

import (
	"testing"
	"time"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// taker starts a next process that takes connections, and reads what comes.
func taker(t *testing.T) *systemd.Next {
	t.Helper()
	p := &systemd.Passed{}
	t.Cleanup(p.Close)
	next, err := p.Start("/bin/sh", []string{
		"sh", "-c",
		`exec 9<&"$LISTEN_HANDOVER" 8<&"${LISTEN_CONNECTIONS%:*}"; printf '\001' >&8; echo prepared >&9; exec cat <&8 >/dev/null`,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.GiveUp)
	if err := next.AwaitPrepared(patience); err != nil {
		t.Fatal(err)
	}
	return next
}

// TestWhoIsSentAwayWhileAnUpgradeIsOnItsWayDoesNotGoOn ends publishers who wait for the next process, each in another way.
func TestWhoIsSentAwayWhileAnUpgradeIsOnItsWayDoesNotGoOn(t *testing.T) {
	s, _, stop, ended := drainable(t, time.Minute)
	var waiting []*rtmp.Client
	for _, name := range []string{"denied", "session", "publication"} {
		c, err := dialPublisher(t, s, "live/"+name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // it was cut off
		waiting = append(waiting, c)
	}
	p := s.freezePublishers()
	if len(p.all) != 4 {
		t.Fatalf("%d publishers wait", len(p.all))
	}
	if _, n, err := s.access.Deny(auth.Entry{Stream: "live/denied"}, time.Minute); n != 1 || err != nil {
		t.Errorf("the denylist ended %d, %v", n, err)
	}
	sessions := s.access.Sessions("live/session")
	if len(sessions) != 1 || !s.access.End(sessions[0].ID) {
		t.Errorf("%d sessions, or it was not ended", len(sessions))
	}
	if !s.hub.Stream("live/publication").EndPublication(remux.EndKicked) {
		t.Error("the publication was not ended")
	}
	if err := p.sendTo(taker(t)); err != nil {
		t.Fatal(err)
	}
	if len(p.all) != 1 {
		t.Errorf("%d publishers go on", len(p.all))
	}
	for _, c := range waiting {
		awaitCut(t, c)
	}
	left := p.all
	p.letGo(t.Context())(time.Minute)
	if p.all != nil {
		t.Error("what was handed over is kept")
	}
	if _, err := left[0].Conn.Write(nil); err == nil {
		t.Error("the connection that went over is open here")
	}
	if n := len(s.access.Sessions("")); n != 0 {
		t.Errorf("%d publishers are counted", n)
	}
	stop()
	awaitEnd(t, ended)
}

// awaitCut waits until a publisher's connection has ended.
func awaitCut(t *testing.T, c *rtmp.Client) {
	t.Helper()
	eventually(t, "the publisher is cut off", func() bool { return c.WriteMedia(rtmp.TypeAudio, 0, []byte{0xaf, 1, 0x21}) != nil })
}
