package flv

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/edge"
)

// permits lets everybody in, counts them, and keeps the means to end each.
type permits struct {
	entered, left atomic.Int64
	ends          chan func()
}

func (p *permits) MayWatch(*http.Request, edge.Ask) edge.Verdict {
	return edge.Verdict{Enter: func(end func()) (func(), *edge.Verdict) {
		p.entered.Add(1)
		p.ends <- end
		return func() { p.left.Add(1) }, nil
	}}
}

func (p *permits) waitForLeft(t *testing.T, n int64) {
	t.Helper()
	for began := time.Now(); p.left.Load() != n; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d have left, not %d", p.left.Load(), n)
		}
	}
}

func newGuardedSite(t *testing.T, secure bool) (*site, *permits) {
	s := newSite(t, secure, Config{})
	p := &permits{ends: make(chan func(), 10)}
	s.server.Config.Handler.(*edge.Handler).Access = p
	return s, p
}

func TestAViewerLeavesOnceWhenItHasGoneAndNotBefore(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			s, p := newGuardedSite(t, protocol.secure)
			src := s.publish(t)
			src.picture(true)
			body, _ := protocol.watch(t, s, "")
			r := newReader(t, body)
			r.flags()
			for want := range 20 {
				if n, _ := r.picture(); n != want {
					t.Fatalf("picture %d came, not %d", n, want)
				}
				src.picture(false)
			}
			if p.entered.Load() != 1 || p.left.Load() != 0 {
				t.Errorf("while it watches %d have entered and %d left", p.entered.Load(), p.left.Load())
			}
			s.hub.Close()
			_, _ = io.Copy(io.Discard, r.in)
			p.waitForLeft(t, 1)
		})
	}
}

func TestAViewerEndsWithItsPermission(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			s, p := newGuardedSite(t, protocol.secure)
			src := s.publish(t)
			src.picture(true)
			body, _ := protocol.watch(t, s, "")
			r := newReader(t, body)
			r.flags()
			r.picture()
			s.waitForViewers(t, 1)
			(<-p.ends)()
			_, _ = io.Copy(io.Discard, r.in) // ends
			p.waitForLeft(t, 1)
			s.waitForViewers(t, 0)
		})
	}
}

func TestAViewerThatWaitsEndsWithItsPermission(t *testing.T) {
	s, p := newGuardedSite(t, false)
	go func() { (<-p.ends)() }()
	res, err := s.server.Client().Get(s.server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", res.StatusCode)
	}
	p.waitForLeft(t, 1)
}
