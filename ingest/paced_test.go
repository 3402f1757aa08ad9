package ingest

import (
	"net"
	"testing"
	"testing/synctest"
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
