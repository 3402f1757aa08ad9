package flv

import (
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// A publisher may be silent for longer than a viewer may take nothing.
func TestAViewerStaysWhileTheStreamRests(t *testing.T) {
	t.Parallel()
	var resting sync.WaitGroup
	for _, p := range protocols {
		s := newSite(t, p.secure, Config{})
		src := s.publish(t)
		src.picture(true)
		src.picture(false)
		body, _ := p.watch(t, s, "")
		r := newReader(t, body)
		r.flags()
		for want := range 2 {
			if n, _ := r.picture(); n != want {
				t.Fatalf("%s: picture %d came, not %d", p.name, n, want)
			}
		}
		resting.Go(func() {
			time.Sleep(bytelog.StallTimeout + bytelog.StallTimeout/5)
			src.picture(true)
			tag, err := r.next()
			for err == nil && (tag.kind != typeVideo || tag.body[1] != 1 || string(tag.body[10:18]) != "00000002") {
				tag, err = r.next()
			}
			if err != nil {
				t.Errorf("%s: after the rest: %v", p.name, err)
			}
		})
	}
	resting.Wait()
}
