package hls

import (
	"context"
	"sync"
	"time"

	"github.com/headwater-live/headwater/storage"
)

// faultyStore is a store of the memory with a switch for each way of failing.
type faultyStore struct {
	*storage.Memory

	mu      sync.Mutex
	failing error         // Put and Append answer with it
	onlyPut bool          // and what is open for appending does not
	stuck   chan struct{} // Put waits until it is closed
	slow    time.Duration // Put takes as long
	puts    []string
	keeping error // Remove answers with it
	stalled bool  // Remove waits like Put
}

// heal ends all faults.
func (f *faultyStore) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing, f.onlyPut, f.slow, f.keeping, f.stalled = nil, false, 0, nil, false
	if f.stuck != nil {
		close(f.stuck)
		f.stuck = nil
	}
}

// faultsOf makes it fail as another does.
func (f *faultyStore) faultsOf(other *faultyStore) {
	f.failing, f.onlyPut, f.slow, f.keeping, f.stalled = other.failing, other.onlyPut, other.slow, other.keeping, other.stalled
	if other.stuck != nil {
		f.stuck = make(chan struct{})
	}
}

// keep has what should go stay, unless err is nil.
func (f *faultyStore) keep(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keeping = err
}

func (f *faultyStore) Remove(name string) error {
	f.mu.Lock()
	err, stalled, stuck := f.keeping, f.stalled, f.stuck
	f.mu.Unlock()
	if stalled && stuck != nil {
		<-stuck
	}
	if err != nil {
		return err
	}
	return f.Memory.Remove(name)
}

func (f *faultyStore) set(failing error, slow time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing, f.slow = failing, slow
}

func (f *faultyStore) block() (unblock func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{})
	f.stuck = c
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.stuck == c {
			close(c)
			f.stuck = nil
		}
	}
}

func (f *faultyStore) wait() error {
	f.mu.Lock()
	stuck, slow, failing := f.stuck, f.slow, f.failing
	f.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	time.Sleep(slow)
	return failing
}

func (f *faultyStore) Put(ctx context.Context, name string, parts [][]byte) error {
	if err := f.wait(); err != nil {
		return err
	}
	f.mu.Lock()
	f.puts = append(f.puts, name)
	f.mu.Unlock()
	return f.Memory.Put(ctx, name, parts)
}

func (f *faultyStore) Append(name string) (Appender, error) {
	if err := f.wait(); err != nil {
		return nil, err
	}
	a, err := f.Memory.Append(name)
	return &faultyAppender{a, f}, err
}

type faultyAppender struct {
	Appender
	store *faultyStore
}

func (a *faultyAppender) Write(b []byte) (int, error) {
	err := a.store.wait()
	a.store.mu.Lock()
	onlyPut := a.store.onlyPut
	a.store.mu.Unlock()
	if err != nil && !onlyPut {
		return 0, err
	}
	return a.Appender.Write(b)
}
