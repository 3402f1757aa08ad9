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
)

// Log gathers lines and writes them. Use Open; Run writes until the end.
type Log struct {
	format Format
	name   string // "" for a destination that cannot be opened again
	logger *slog.Logger

	lines, dropped atomic.Uint64
	wake           chan struct{}
	ended          chan struct{}

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

// Open opens a file for appending, or standard output if it is called "-". It is made when it is missing, and nobody but
// the user and the group of the server may read it: lines have addresses of viewers.
func Open(name string, format Format, logger *slog.Logger) (*Log, error) {
	if name == "-" {
		return newLog(os.Stdout, "", format, logger), nil
	}
	out, err := openFile(name)
	if err != nil {
		return nil, err
	}
	return newLog(out, name, format, logger), nil
}

func openFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return f, nil
}

func newLog(out io.WriteCloser, name string, format Format, logger *slog.Logger) *Log {
	return &Log{
		format: format, name: name, logger: logger, out: out,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// rendered are buffers for lines.
var rendered = sync.Pool{New: func() any { return new([]byte) }}

// Add renders an entry and has it written soon. It never waits; when too much waits already the line is dropped.
func (l *Log) Add(e *Entry) {
	buf := rendered.Get().(*[]byte)
	line := l.format((*buf)[:0], e)
	l.mu.Lock()
	fits := !l.closed && len(l.pending)+len(line) <= maxPending
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
	if !fits {
		l.dropped.Add(1)
	}
	if full {
		l.call()
	}
}

// Reopen has the file opened again by its name, after what was added before is in the old one.
func (l *Log) Reopen() {
	l.mu.Lock()
	l.reopen = l.name != ""
	l.mu.Unlock()
	l.call()
}

// Lines returns how many lines were written, Dropped how many were not.
func (l *Log) Lines() uint64   { return l.lines.Load() }
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

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
		l.lines.Add(lines)
		return
	}
	l.torn = l.torn || n > 0 && batch[n-1] != '\n'
	written := uint64(0)
	for _, c := range batch[:n] {
		if c == '\n' {
			written++
		}
	}
	l.lines.Add(written)
	l.dropped.Add(lines - written)
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
	l.out, l.torn = next, false
	l.logger.Info("access log opened again", "file", l.name)
}

func (l *Log) complain(what string, err error) {
	if now := time.Now(); now.Sub(l.complained) >= complainEvery {
		l.complained = now
		l.logger.Error(what, "err", err, "dropped", l.dropped.Load())
	}
}

// errStuck reports a destination that takes nothing.
var errStuck = errors.New("close access log: its destination takes nothing")

// Close has what is left written and waits for that, until ctx ends: a pipe that nobody reads keeps the goroutine for
// as long as the process lives. Run must have been called.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.call()
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return errStuck
	}
}
