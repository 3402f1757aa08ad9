package hls

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/storage"
)

// heap returns what is in use on the heap.
func heap() int64 {
	var m runtime.MemStats
	for range 3 { // pools let go of what they have after two
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyStreamsStayWithinTheirMemoryWhateverTheStorageDoes has many publishers send far more than may be
// held. Each goes on live, and what is on the heap is what the setting says, with two segments for each.
func TestManyStreamsStayWithinTheirMemoryWhateverTheStorageDoes(t *testing.T) {
	const (
		streams  = 40
		maxHeld  = 20 << 20
		segment  = 250_000 // bytes, about
		overhead = 60 << 20
	)
	for name, fail := range map[string]func(*faultyStore){
		"it is slow":          func(f *faultyStore) { f.set(nil, 20*time.Second) },
		"it is full":          func(f *faultyStore) { f.set(syscall.ENOSPC, 0) },
		"it hangs":            func(f *faultyStore) { f.block() },
		"it hangs altogether": func(f *faultyStore) { f.block(); f.stalled = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faultyStore{Memory: storage.NewMemory(0)}
				server := NewServer(Config{Storage: store, MaxHeld: maxHeld})
				began, before := time.Now(), heap()
				sinks := make([]remux.Sink, streams)
				for i := range sinks {
					sinks[i] = server.NewSink(remux.StreamName(fmt.Sprintf("live/%d", i)))
				}
				e := &encoder{frame: 40, key: every(25), size: 4_500, sets: sets320}
				for _, sink := range sinks {
					sink.Begin(e.tracks())
					for _, pkt := range e.configs(0) {
						sink.Write(pkt)
					}
				}
				most := int64(0)
				for at := int64(0); at < 80_000; at += 1_000 {
					for _, f := range e.frames(at, at+1_000) {
						time.Sleep(time.Until(began.Add(time.Duration(f.at) * time.Millisecond)))
						for _, sink := range sinks {
							sink.Write(f.pkt)
						}
					}
					synctest.Wait()
					if at == 5_000 {
						fail(store)
					}
					if at%5_000 == 0 && at > 5_000 {
						store.forget()
						most = max(most, heap()-before)
					}
				}
				t.Logf("%d streams sent %d MB each; %d MB were on the heap at most", streams, 80*segment/2>>20, most>>20)
				if limit := int64(maxHeld + 3*streams*segment + overhead); most > limit {
					t.Errorf("%d MB are on the heap, want at most %d MB", most>>20, limit>>20)
				}
				if got := server.memory.Load(); got > maxHeld+2*streams*segment {
					t.Errorf("%d bytes are said to be in memory", got)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				store.heal()
				for _, sink := range sinks {
					sink.End()
				}
				synctest.Wait()
				time.Sleep(time.Minute)
				if got := server.memory.Load(); got != 0 {
					t.Errorf("%d bytes are said to be in memory when all is stored", got)
				}
				server.Close(ctx)
			})
		})
	}
}

// forget has the store hold nothing, which would count for the heap. Journals stay.
func (f *faultyStore) forget() {
	blobs, _ := f.List(".") // memory
	for _, b := range blobs {
		if b.Size > 50_000 {
			_ = f.Memory.Remove(b.Name)
		}
	}
}
