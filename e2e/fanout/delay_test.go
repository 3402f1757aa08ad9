package fanout

import (
	"bufio"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// sampler is a viewer that looks at what it gets: how old it is, and whether something is missing.
type sampler struct {
	mu     sync.Mutex
	delays []time.Duration
	next   uint64
	lost   int
}

// sample watches an HTTP-FLV URL until the benchmark ends.
func sample(b *testing.B, url string) *sampler {
	b.Helper()
	res, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	s := &sampler{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in := bufio.NewReaderSize(res.Body, 64<<10)
		if _, err := readFull(in, 13); err != nil {
			return
		}
		for {
			head, err := readFull(in, 11)
			if err != nil {
				return
			}
			body, err := readFull(in, int(head[1])<<16|int(head[2])<<8|int(head[3])+4)
			if err != nil {
				return
			}
			if head[0] == 9 && body[1] == 1 {
				s.picture(body)
			}
		}
	}()
	b.Cleanup(func() {
		_ = res.Body.Close()
		<-ended
	})
	return s
}

// sampleRTMP plays an RTMP URL until the benchmark ends, so that players of it have a log to themselves.
func sampleRTMP(b *testing.B, url string) *sampler {
	b.Helper()
	c, err := rtmp.Dial(b.Context(), url, rtmp.ClientConfig{})
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Play(b.Context()); err != nil {
		b.Fatal(err)
	}
	s := &sampler{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m, err := c.ReadMedia()
			if err != nil {
				return
			}
			if m.Type == rtmp.TypeVideo && m.Payload[1] == 1 {
				s.picture(m.Payload)
			}
		}
	}()
	b.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return s
}

func (s *sampler) picture(body []byte) {
	sent := time.Unix(0, int64(binary.BigEndian.Uint64(body[stampAt:])))
	index := binary.BigEndian.Uint64(body[indexAt:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays = append(s.delays, time.Since(sent))
	if s.next != 0 && index != s.next {
		s.lost++
	}
	s.next = index + 1
}

// reset forgets the delays, which begin with those of the GOP that a viewer joins at.
func (s *sampler) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays = s.delays[:0]
}

// percentile returns the delay that so many of a hundred pictures had at most.
func (s *sampler) percentile(p int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.delays) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.delays))
	return sorted[(len(sorted)-1)*p/100]
}

func (s *sampler) missing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}
