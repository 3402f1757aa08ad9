package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPending bounds what waits for the disk, in bytes: some seconds of 5,000 requests each.
	maxPending = 8 << 20
	// writeSize is how much is gathered before it is written, unless flushEvery is over: large writes are cheap ones.
	writeSize  = 64 << 10
	flushEvery = time.Second
	// complainEvery bounds what is said of a disk that fails.
	complainEvery = time.Minute
	// tornPause is longer than a write to a file of what was gathered.
	tornPause = 50 * time.Millisecond
)

// Log gathers lines and writes them to one destination. Use Open; Run writes until the end.
type Log struct {
	format Format
	name   string // "" for a destination that cannot be opened again
	logger *slog.Logger
	counts *counts // its own, or its Switch's

	wake  chan struct{}
	ended chan struct{}

	// mu guards all below, and is never held during I/O.
	mu      sync.Mutex
	pending []byte
	waiting uint64 // lines in pending
	reopen  bool
	closed  bool

	// Of the goroutine of Run.
	out        io.WriteCloser
	torn       bool // the last write ended within a line
	complained time.Time
}

// counts are the lines that were written, and those that were not.
type counts struct{ lines, dropped atomic.Uint64 }

// Open opens a file for appending, or standard output if it is called "-". It is made when it is missing, and nobody but
// the user and the group of the server may read it: lines have addresses of viewers. A pipe must have a reader by then.
func Open(name string, format Format, logger *slog.Logger) (*Log, error) {
	if name == "-" {
		return newLog(standardOutput{os.Stdout}, "", format, logger), nil
	}
	out, err := openFile(name)
	if err != nil {
		return nil, err
	}
	l := newLog(out, name, format, logger)
	l.torn = endsTorn(name)
	return l, nil
}

// standardOutput stays open: it may be wanted again.
type standardOutput struct{ io.Writer }

func (standardOutput) Close() error { return nil }

func openFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|openNow, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return f, nil
}

// endsTorn reports whether a file ends within a line, as a crash or a full disk leaves it. It looks twice: another process
// may be writing.
func endsTorn(name string) bool {
	for range 2 {
		f, err := os.Open(name)
		if err != nil {
			return false
		}
		var last [1]byte
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			_, err = f.ReadAt(last[:], info.Size()-1)
		} else {
			last[0] = '\n'
		}
		_ = f.Close()
		if err != nil || last[0] == '\n' {
			return false
		}
		time.Sleep(tornPause)
	}
	return true
}

func newLog(out io.WriteCloser, name string, format Format, logger *slog.Logger) *Log {
	return &Log{
		format: format, name: name, logger: logger, out: out, counts: new(counts),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// rendered are buffers for lines.
var rendered = sync.Pool{New: func() any { return new([]byte) }}

// Add renders an entry and has it written soon. It never waits; when too much waits already the line is dropped. It returns
// false, and has done nothing, if the log is closed.
func (l *Log) Add(e *Entry) bool {
	buf := rendered.Get().(*[]byte)
	line := l.format((*buf)[:0], e)
	l.mu.Lock()
	closed := l.closed
	fits := !closed && len(l.pending)+len(line) <= maxPending
	full := false
	if fits {
		before := len(l.pending)
		l.pending = append(l.pending, line...)
		l.waiting++
		full = before < writeSize && len(l.pending) >= writeSize
	}
	l.mu.Unlock()
	*buf = line
	rendered.Put(buf)
	if !fits && !closed {
		l.counts.dropped.Add(1)
	}
	if full {
		l.call()
	}
	return !closed
}

// Reopen has the file opened again by its name, after what was added before is in the old one.
func (l *Log) Reopen() {
	l.mu.Lock()
	l.reopen = l.name != ""
	l.mu.Unlock()
	l.call()
}

// Lines returns how many lines were written, Dropped how many were not.
func (l *Log) Lines() uint64   { return l.counts.lines.Load() }
func (l *Log) Dropped() uint64 { return l.counts.dropped.Load() }

func (l *Log) call() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run writes what was added until Close is called, and then what is left. It is called once.
func (l *Log) Run() {
	defer close(l.ended)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	var spare []byte
	for {
		select {
		case <-l.wake:
		case <-ticker.C:
		}
		l.mu.Lock()
		batch, lines, reopen, closed := l.pending, l.waiting, l.reopen, l.closed
		l.pending, l.waiting, l.reopen = spare[:0], 0, false
		l.mu.Unlock()
		l.write(batch, lines)
		if spare = batch; cap(spare) > 4*writeSize {
			spare = nil // a moment's load need not be kept
		}
		if reopen {
			l.open()
		}
		if closed {
			if err := l.out.Close(); err != nil {
				l.complain("access log not closed", err)
			}
			return
		}
	}
}

// write writes lines. Of those that cannot be written nothing is kept: a full disk must not fill the memory as well.
func (l *Log) write(batch []byte, lines uint64) {
	if len(batch) == 0 {
		return
	}
	if l.torn {
		// Appended to the batch's front it would move all of it.
		if _, err := l.out.Write([]byte{'\n'}); err == nil {
			l.torn = false
		}
	}
	n, err := l.out.Write(batch)
	if err == nil {
		l.counts.lines.Add(lines)
		return
	}
	l.torn = l.torn || n > 0 && batch[n-1] != '\n'
	written := uint64(0)
	for _, c := range batch[:n] {
		if c == '\n' {
			written++
		}
	}
	l.counts.lines.Add(written)
	l.counts.dropped.Add(lines - written)
	l.complain("lines of the access log were lost", err)
}

// open replaces the file. If that fails the old one goes on.
func (l *Log) open() {
	next, err := openFile(l.name)
	if err != nil {
		l.complain("access log not opened again, the old file goes on", err)
		return
	}
	if err := l.out.Close(); err != nil {
		l.complain("old access log not closed", err)
	}
	l.out, l.torn = next, endsTorn(l.name)
	l.logger.Info("access log opened again", "file", l.name)
}

func (l *Log) complain(what string, err error) {
	if now := time.Now(); now.Sub(l.complained) >= complainEvery {
		l.complained = now
		l.logger.Error(what, "err", err, "dropped", l.counts.dropped.Load())
	}
}

// finish has what is left written, and the destination closed.
func (l *Log) finish() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.call()
}

// over reports whether everything has been written.
func (l *Log) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// Discard closes the destination of a log that was never run.
func (l *Log) Discard() { _ = l.out.Close() }

// errStuck reports a destination that takes nothing.
var errStuck = errors.New("close access log: its destination takes nothing")

// Close has what is left written and waits for that, until ctx ends: a pipe that nobody reads keeps the goroutine for
// as long as the process lives. Run must have been called.
func (l *Log) Close(ctx context.Context) error {
	l.finish()
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return errStuck
	}
}
