package histogram

import (
	"reflect"
	"sync"
	"testing"
	"time"
)

func TestDurationsAreCountedAtTheirBound(t *testing.T) {
	h := New(10*time.Millisecond, time.Second)
	for _, d := range []time.Duration{-time.Second, 0, 10 * time.Millisecond, 11 * time.Millisecond, time.Second, time.Minute} {
		h.Observe(d)
	}
	want := Snapshot{Count: 6, Sum: 61.021, Buckets: map[float64]uint64{0.01: 3, 1: 5}}
	if got := h.Snapshot(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestObserversDoNotLoseCounts(t *testing.T) {
	h := New(time.Millisecond)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				h.Observe(time.Duration(i) * time.Microsecond * 2)
			}
		})
	}
	wg.Wait()
	if s := h.Snapshot(); s.Count != 4000 || s.Buckets[0.001] != 4*501 {
		t.Errorf("%+v", s)
	}
}
