package hls

import (
	"context"
	"io"
	"testing"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/storage"
)

// contents returns all blobs of a store.
func contents(t *testing.T, store Storage) map[string][]byte {
	t.Helper()
	blobs, err := store.List(".")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, b := range blobs {
		f, err := store.Open(b.Name)
		if err != nil {
			t.Fatal(err)
		}
		if all[b.Name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	return all
}

// storeOf returns a store with these blobs.
func storeOf(t *testing.T, blobs map[string][]byte) *faultyStore {
	t.Helper()
	store := &faultyStore{Memory: storage.NewMemory(0)}
	for name, content := range blobs {
		if err := store.Put(context.Background(), name, [][]byte{content}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// crash ends the server as kill -9 does: what is in the storage stays as it is. A storage that took nothing goes on
// so, another is well.
func (s *stage) crash() {
	s.t.Helper()
	s.look()
	blobs := contents(s.t, s.store.Memory)
	s.mark(hlscheck.ServerDown)
	s.mark(hlscheck.PublisherLeft)
	if s.sink != nil {
		s.sink.End()
		s.sink.Close()
		s.sink = nil
	}
	faults := &faultyStore{}
	s.store.mu.Lock()
	faults.faultsOf(s.store)
	s.store.mu.Unlock()
	s.store.heal()
	s.stop()
	s.server = nil
	s.store = storeOf(s.t, blobs)
	if faults.keeping != nil || faults.stalled {
		s.store.faultsOf(faults)
	}
}

// restart starts the next process.
func (s *stage) restart() {
	s.t.Helper()
	s.start()
	if err := s.server.Restore(); err != nil {
		s.t.Fatal(err)
	}
	s.mark(hlscheck.ServerUp)
	s.look()
}
