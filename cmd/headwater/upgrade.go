package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

const (
	// prepareTimeout is how long the next process may take until it has read its configuration and all that this
	// names, and readyTimeout how long until it has read the journals and serves.
	prepareTimeout = 30 * time.Second
	readyTimeout   = 30 * time.Second
	// handoverHooks is how long webhooks may be posted while everybody waits: what is left the next process posts.
	handoverHooks = 100 * time.Millisecond
)

// errHandedOver is why a server ends that another process has taken the place of.
var errHandedOver = errors.New("handed over to another process")

// upgrader starts the next process, a newer version as a rule, and hands over to it (docs/upgrade.md).
type upgrader struct {
	signals <-chan os.Signal
	program string // as this process was started: what lies there may be another file by now
	self    string // what this process runs, even if another lies there by now
	args    []string

	// Of the process that is handed over to; nil until one is prepared.
	next       *systemd.Next
	sockets    *systemd.Passed
	publishers *publishers // nil if none go on there
	relays     *relays     // nil if this process cannot go on for its viewers
	failed     error       // nobody has taken over, though this process let go
	successor  successor
}

func newUpgrader(signals <-chan os.Signal) *upgrader {
	u := &upgrader{signals: signals, program: os.Args[0], self: selfFile, args: os.Args}
	if path, err := exec.LookPath(u.program); err == nil {
		u.program = path
	}
	if path, err := filepath.Abs(u.program); err == nil {
		u.program = path
	}
	return u
}

// run prepares a next process at every signal, until one is prepared, which it hands to take, or ctx ends.
func (u *upgrader) run(ctx context.Context, s *server, take func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.signals:
		}
		s.logger.Info("upgrade begins", "program", u.program)
		if err := u.prepare(ctx, s); err != nil {
			s.logger.Error("upgrade failed, this process goes on", "err", err)
			continue
		}
		s.logger.Info("next process is prepared", "pid", u.next.PID)
		take()
		return
	}
}

// abandon ends a next process that was prepared as this one was asked to end.
func (u *upgrader) abandon() {
	if u == nil || u.next == nil {
		return
	}
	u.next.GiveUp()
	u.sockets.Close()
	u.next, u.sockets = nil, nil
}

// prepare starts the next process and waits until it is prepared. Nobody notices anything of that.
func (u *upgrader) prepare(ctx context.Context, s *server) error {
	if os.Getpid() == 1 {
		return errors.New("this is the first process of a container, which would end with it: start another container")
	}
	sockets := &systemd.Passed{}
	for _, name := range listenerNames {
		if l := s.listeners.get(name); l != nil {
			if err := sockets.Add(name, l.socket, l.passed); err != nil {
				sockets.Close()
				return err
			}
		}
	}
	next, err := sockets.Start(u.program, u.args)
	if err != nil {
		sockets.Close()
		return err
	}
	stop := context.AfterFunc(ctx, next.GiveUp)
	err = next.AwaitPrepared(prepareTimeout)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		next.GiveUp()
		sockets.Close()
		return err
	}
	u.next, u.sockets = next, sockets
	return nil
}

// freeze stops the publishers so that the next process can go on with them, if it is of a version that can. Until it
// does, they wait.
func (u *upgrader) freeze(s *server) {
	c := hubConfig(s.cfg())
	c.Grace += keyframeWait + endTimeout // no stream ends meanwhile
	s.hub.Change(c)
	if !u.next.TakesConnections() {
		s.logger.Warn("publishers have to connect again: the next process is of a version that cannot go on with them")
		return
	}
	if s.hls != nil {
		s.hls.Stop() // no playlist ends because a grace period does
	}
	began := time.Now()
	u.publishers = s.freezePublishers()
	s.logger.Info("publishers wait for the next process", "publishers", len(u.publishers.all), "took", time.Since(began))
}

// finish lets the next process begin, and waits until it serves. If it does not, this program is started once more, as
// it is: whoever has connected meanwhile waits. If that fails too, it is what both were given, or the folder: so it is
// tried without the publishers. In the end it passes on, for upgrade.timeout, what only this process can.
func (u *upgrader) finish(s *server) {
	if err := u.begin(u.next); err != nil {
		s.logger.Error("the next process does not serve, this version is started again", "err", err)
		u.next.GiveUp()
		u.next, err = u.again()
		if err != nil && u.publishers.any() { // it may be what one of them has sent
			s.logger.Error("this version does not serve either, it is started without the publishers, who have to connect again", "err", err)
			u.publishers.end()
			u.next, err = u.again()
		}
		if err != nil {
			u.failed = fmt.Errorf("hand over: nobody serves any more: %w", err)
			u.sockets.Close()
			u.publishers.end()
			u.relays.served(false)
			return
		}
	}
	u.sockets.Close()
	u.successor.watch(u.next, s.before, u.relays)
	ctx, cancel := context.WithCancel(s.asked)
	defer cancel()
	defer context.AfterFunc(u.successor.ctx, cancel)()
	stop := u.publishers.letGo(ctx)
	s.logger.Info("handed over", "pid", u.next.PID, "nobody_accepted", time.Since(s.unheard))
	s.notify(systemd.MainPID(u.next.PID))
	u.relays.served(true)
	if s.asked.Err() != nil { // to end, while this was handing over: it is the next process that is meant by now
		u.next.Terminate()
	}
	stop(s.cfg().Upgrade.Timeout)
}

// begin has a process that is prepared begin, and waits until it serves.
func (u *upgrader) begin(next *systemd.Next) error {
	u.relays.begin(next)
	if err := next.Go(); err != nil {
		return err
	}
	if err := u.publishers.sendTo(next); err != nil {
		return err
	}
	return next.AwaitReady(readyTimeout)
}

// selfFile is the program that this process runs. Where there is no such file, what lies at its path has to do.
const selfFile = "/proc/self/exe"

// again starts this version.
func (u *upgrader) again() (*systemd.Next, error) {
	program := u.self
	if _, err := os.Stat(program); err != nil {
		program = u.program
	}
	next, err := u.sockets.Start(program, u.args)
	if err != nil {
		return nil, err
	}
	if err = next.AwaitPrepared(prepareTimeout); err == nil {
		err = u.begin(next)
	}
	if err != nil {
		next.GiveUp()
		return nil, fmt.Errorf("start this version again: %w", err)
	}
	return next, nil
}

// startUpgrades begins to listen to who wants another process to take over. The function that it returns ends that.
func (s *server) startUpgrades(ctx context.Context, end context.CancelCauseFunc) (stop func()) {
	if s.upgrades == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.upgrades.run(ctx, s, func() { end(errHandedOver) })
	}()
	return func() {
		cancel()
		<-done
	}
}

// handsOver says whether another process is prepared to take over.
func (s *server) handsOver() bool { return s.upgrades != nil && s.upgrades.next != nil }

// answeredElsewhere answers who has connected before the next process took over, and asks only now: what this process
// knows of the streams may be old by then.
func answeredElsewhere(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Retry-After", "1")
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	http.Error(w, "another process serves this now: ask again", http.StatusServiceUnavailable)
}

// letGo ends what two processes cannot use at once, and lets the next one begin. It says whether it could: a storage
// that does not answer is used until this process has ended.
func (s *server) letGo(ctx context.Context) bool {
	s.retired.Store(true)
	s.hub.Retire()
	s.closeStores(ctx, handoverHooks)
	if ctx.Err() != nil {
		return false
	}
	s.upgrades.relays = newRelays(s)
	s.edge.use(s.upgrades.relays.pass())
	if store, ok := s.store.(interface{ Unlock() error }); ok {
		if err := store.Unlock(); err != nil {
			s.logger.Warn("storage not unlocked", "error", err)
		}
	}
	s.serving.Go(func() { s.upgrades.finish(s) })
	return true
}

// stay goes on for live viewers, as long as there are any.
func (s *server) stay(ctx context.Context) {
	s.endPrivate(ctx)
	s.upgrades.relays.wait(s.asked, s.cfg().Upgrade.Timeout)
	s.upgrades.relays.end()
}
