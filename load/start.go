package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// publisherRamp is how many publishers come each second.
const publisherRamp = 100

// startPublishers starts them one after the other and waits for their ends. Each begins at a moment of its
// own, so that their keyframes do not come all at once.
func (r *run) startPublishers(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range r.config.Publishers {
		p := &publisher{group: r.publishers, id: uint32(i + 1), url: streamURL(r.config.PublishURL, i+1)}
		wg.Go(func() { p.publishing(ctx) })
		if sleep(ctx, time.Second/publisherRamp/2+rand.N(time.Second/publisherRamp)) != nil {
			return
		}
	}
}

// startViewers starts viewers of all protocols in turn and waits for their ends.
func (r *run) startViewers(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	began, started := time.Now(), 0
	for i := 0; ; i++ {
		more := false
		for _, g := range r.groups {
			if i >= len(g.viewers) {
				continue
			}
			more = true
			v := g.viewers[i]
			due := began.Add(time.Duration(started) * time.Second / time.Duration(r.config.Ramp))
			if wait := time.Until(due); wait > 0 && sleep(ctx, wait) != nil {
				return
			}
			started++
			wg.Go(func() { v.run(ctx) })
		}
		if !more {
			return
		}
	}
}
