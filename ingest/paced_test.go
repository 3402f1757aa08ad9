package ingest

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// stranger returns a connection whose reads are limited, and its other end, from which so many
// bytes come at once.
func stranger(t *testing.T, turns turns, sent string) *pacedConn {
	t.Helper()
	here, there := net.Pipe()
	c := &pacedConn{Conn: here, resting: func() bool { return false }, turns: turns}
	c.limit(1000)
	go func() { _, _ = there.Write([]byte(sent)) }()
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return c
}

func TestStrangersAreDealtWithInTurn(t *testing.T) {
	for name, end := range map[string]func(*pacedConn){
		"who reads on":          func(c *pacedConn) { _, _ = c.Read(make([]byte, 1)) },
		"who writes":            func(c *pacedConn) { _ = c.Conn.Close(); _, _ = c.Write([]byte("x")) },
		"who is no stranger":    func(c *pacedConn) { c.trust() },
		"who is closed":         func(c *pacedConn) { _ = c.Close() },
		"who is closing":        func(c *pacedConn) { _ = c.CloseWrite(); _, _ = c.Read(make([]byte, 1)) },
		"whose session decides": func(c *pacedConn) { c.endTurn() },
	} {
		synctest.Test(t, func(t *testing.T) {
			all := make(turns, 1)
			first, second := stranger(t, all, "ab"), stranger(t, all, "b")
			if n, err := first.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatalf("%d bytes, %v", n, err)
			}
			read := make(chan error)
			go func() {
				_, err := second.Read(make([]byte, 10))
				second.endTurn()
				read <- err
			}()
			synctest.Wait()
			select {
			case err := <-read:
				t.Fatalf("%s: two are dealt with at once (%v)", name, err)
			default:
			}
			end(first)
			synctest.Wait()
			select {
			case err := <-read:
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			default:
				t.Errorf("%s keeps the turn", name)
			}
		})
	}
}

func TestWhoMayPublishNeedsNoTurn(t *testing.T) {
	all := make(turns, 1)
	all <- struct{}{} // somebody has it
	c := stranger(t, all, "a")
	c.trust()
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestWhoPlaysNeedsATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := make(turns, 1)
		all <- struct{}{} // somebody has it
		c := stranger(t, all, "ab")
		c.limit(0)
		c.trust()
		c.plays() // it has published before
		read := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		select {
		case err := <-read:
			t.Fatalf("a player is dealt with beside a stranger (%v)", err)
		default:
		}
		<-all
		if err := <-read; err != nil {
			t.Error(err)
		}
		c.Waits()
		all <- struct{}{} // blocks if it is still the player's
	})
}

// sentTo returns the near end of a connection whose peer plays, and the other end.
func sentTo(t *testing.T) (player *pacedConn, peer net.Conn) {
	here, there := net.Pipe()
	player = &pacedConn{Conn: here, resting: func() bool { return false }, turns: make(turns, 1)}
	player.limit(0)
	player.plays()
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return player, there
}

func TestAPlayerThatFloodsIsReadNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := sentTo(t)
		go func() { _, _ = peer.Write(make([]byte, 10*wishBurst)) }()
		taken := 0
		for {
			n, err := c.Read(make([]byte, 1000))
			taken += n
			if rtmp.Reason(err) == ReasonPlayerFlood {
				break
			}
			if err != nil || taken > wishBurst {
				t.Fatalf("%d bytes are taken at once, %v", taken, err)
			}
		}
		c.trust() // it publishes, too
		if _, err := io.ReadFull(c, make([]byte, 5*wishBurst)); err != nil {
			t.Errorf("media of who plays as well: %v", err)
		}
	})
}

// TestOrdinaryPlayersAreNoFlood has a player send for an hour what players send at most: an acknowledgement for every
// 64 KiB of 25 Mbit/s, answers to pings, and every ten seconds a viewer that drags the slider for all it is worth.
func TestOrdinaryPlayersAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := sentTo(t)
		const acknowledgement, wish = 16, 110 // bytes
		go func() {
			defer func() { _ = peer.Close() }()
			for i := range 3600 * 50 {
				time.Sleep(time.Second / 50)
				_, _ = peer.Write(make([]byte, acknowledgement))
				if i%500 == 0 {
					_, _ = peer.Write(make([]byte, 300*wish))
				}
			}
		}()
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{c}); err != nil {
			t.Error(err)
		}
	})
}
