package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/headwater-live/headwater/auth"
)

const (
	// denyName is the denylist's file in storage.dir, denyAside what is kept of one that could not be read whole.
	denyName  = ".denylist"
	denyAside = ".denylist.damaged"
	// denyPatience is how long an answer waits for the disk. Nobody waits for it to be denied.
	denyPatience = 5 * time.Second
	// denyRetry is after what time a file that could not be written is tried again.
	denyRetry = 5 * time.Second
)

var (
	errDenyClosed = errors.New("the server is ending, or another process serves by now: ask again")
	errDiskSilent = errors.New("the disk does not answer")
)

// denyStore is where the denylist is kept: a storage.Dir.
type denyStore interface {
	PutPrivate(ctx context.Context, name string, content []byte) error
	ReadPrivate(name string, limit int64) ([]byte, error)
	KeepAside(name, aside string) error
}

// denyFile keeps the gate's denylist in a file, which is replaced as a whole after each change. A change is in force
// first, and then written: by one goroutine, so that a disk that hangs holds up nothing but the answers to those who
// revoke, and these for denyPatience.
type denyFile struct {
	gate   *auth.Gate
	store  denyStore // nil if nothing outlives this process
	logger *slog.Logger
	damage string // what could not be read at the start

	ctx     context.Context // ends when the file may be another process's
	cancel  context.CancelFunc
	dirty   chan struct{} // has something when there is something to write
	stop    chan struct{} // closed when no change comes any more
	running sync.WaitGroup

	// changing is held for reading while something changes, so that nothing does after closing.
	changing sync.RWMutex
	closed   bool

	// mu guards all below.
	mu     sync.Mutex
	made   uint64        // changes
	tried  uint64        // those that the newest try to write had
	kept   uint64        // those that are in the file
	failed error         // of the newest try
	news   chan struct{} // closed after each try
}

// openDenyFile puts what the file has in force. Damage is no reason not to serve: it is said, the damaged file kept
// aside, and what could be read holds.
func openDenyFile(gate *auth.Gate, store denyStore, logger *slog.Logger) *denyFile {
	f := &denyFile{
		gate: gate, store: store, logger: logger,
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), news: make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	var saved auth.Denylist
	if store != nil {
		saved = f.read()
	}
	gate.RestoreDenylist(saved)
	return f
}

func (f *denyFile) read() auth.Denylist {
	content, err := f.store.ReadPrivate(denyName, auth.MaxDenylistFile+1)
	if errors.Is(err, fs.ErrNotExist) {
		return auth.Denylist{}
	}
	saved, damage := auth.ParseDenylist(content)
	if err == nil {
		err = damage
	}
	if err == nil {
		return saved
	}
	f.damage = fmt.Sprintf("the denylist of before could not be read whole, so that what it revoked may be allowed (%v; storage.dir has the file as %s)", err, denyAside)
	f.logger.Error("the denylist could not be read whole, what it revoked may be allowed",
		"err", err, "read", len(saved.Entries), "kept_as", denyAside)
	if err := f.store.KeepAside(denyName, denyAside); err != nil {
		f.logger.Error("the damaged denylist was not kept", "err", err)
	}
	f.made++ // what is good is written again
	f.dirty <- struct{}{}
	return saved
}

// start begins to write, until close.
func (f *denyFile) start() {
	if f.store != nil {
		f.running.Go(f.run)
	}
}

func (f *denyFile) run() {
	var again <-chan time.Time
	for {
		select {
		case <-f.dirty:
		case <-again:
		case <-f.stop:
			if f.unkept() > 0 {
				_ = f.write() // close says it
			}
			return
		}
		again = nil
		if f.write() != nil {
			again = time.After(denyRetry)
		}
	}
}

// write replaces the file.
func (f *denyFile) write() error {
	f.mu.Lock()
	made := f.made
	f.mu.Unlock()
	err := f.store.PutPrivate(f.ctx, denyName, auth.AppendDenylist(nil, f.gate.SaveDenylist()))
	f.mu.Lock()
	before := f.failed
	f.tried, f.failed = made, err
	if err == nil {
		f.kept = made
	}
	close(f.news)
	f.news = make(chan struct{})
	f.mu.Unlock()
	switch {
	case err != nil && before == nil:
		f.logger.Error("the denylist could not be written, it is in force in memory only", "err", err, "try_again", denyRetry)
	case err == nil && before != nil:
		f.logger.Info("the denylist is written again")
	}
	return err
}

// change makes a change of the denylist, which is in force then, and reports whether it would outlive this process. The
// error is errDenyClosed or the change's own; nothing is changed then.
func (f *denyFile) change(do func() error) (durable bool, err error) {
	var number uint64
	f.changing.RLock()
	if err = errDenyClosed; !f.closed {
		if err = do(); err == nil {
			number = f.count() // before it can be closed
		}
	}
	f.changing.RUnlock()
	if err != nil || f.store == nil {
		return false, err
	}
	select {
	case f.dirty <- struct{}{}:
	default:
	}
	return f.await(number), nil
}

// count counts a change that is in force: what is written from now on has it.
func (f *denyFile) count() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	return f.made
}

// await waits until a change is in the file, or could not be written there.
func (f *denyFile) await(change uint64) bool {
	late := time.NewTimer(denyPatience)
	defer late.Stop()
	for {
		f.mu.Lock()
		kept, tried, news := f.kept >= change, f.tried >= change, f.news
		f.mu.Unlock()
		if kept || tried {
			return kept
		}
		select {
		case <-news:
		case <-late.C:
			f.silent(change)
			return false
		}
	}
}

// silent notes that the disk takes longer for a change than anybody waits.
func (f *denyFile) silent(change uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tried < change && f.failed == nil {
		f.failed = errDiskSilent
		f.logger.Error("the denylist could not be written yet, it is in force in memory only", "err", errDiskSilent)
	}
}

// unkept returns how many changes are not in the file.
func (f *denyFile) unkept() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made - f.kept
}

// durable reports whether all that is in force would outlive this process.
func (f *denyFile) durable() bool { return f.store != nil && f.unkept() == 0 }

// reason says what is wrong, "" if nothing is. That nothing is to be kept is no fault.
func (f *denyFile) reason() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var reasons []string
	if f.failed != nil {
		reasons = append(reasons, fmt.Sprintf("the denylist cannot be written, so that what was revoked would be allowed after a restart: %v", f.failed))
	}
	if f.damage != "" {
		reasons = append(reasons, f.damage)
	}
	return strings.Join(reasons, "; ")
}

// close refuses changes from now on, and returns when the file has them all or ctx ends: from then on it is another
// process's.
func (f *denyFile) close(ctx context.Context) {
	f.changing.Lock()
	was := f.closed
	f.closed = true
	f.changing.Unlock()
	if was {
		return
	}
	close(f.stop)
	done := make(chan struct{})
	go func() {
		f.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done(): // it is stuck in the storage
	}
	f.cancel()
	if f.store != nil && f.unkept() > 0 {
		f.logger.Error("changes of the denylist end with this process, they could not be written", "changes", f.unkept())
	}
}
