package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress writes one line again and again, once a second, when a person is watching.
type progress struct {
	w     io.Writer // nil is nobody
	next  time.Time
	since time.Time // of bytes

	bytes  int
	rounds int  // of the file, that are complete
	dirty  bool // the line is on the screen
}

// newProgress returns the progress of a terminal; of anything else, it stays silent.
func newProgress(w io.Writer) *progress {
	p := &progress{}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

// isTerminal says whether a person may be watching.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// add notes that a message of n bytes was sent which is at this time of the sequence, in milliseconds.
func (p *progress) add(at int64, n int) {
	p.bytes += n
	now := time.Now()
	if p.w == nil || now.Before(p.next) {
		return
	}
	if !p.since.IsZero() {
		rate := float64(p.bytes) * 8 / now.Sub(p.since).Seconds() / 1000
		line := fmt.Sprintf("\r%s  %6.0f kbit/s", clockTime(at), rate)
		if p.rounds > 0 {
			line += fmt.Sprintf("  round %d", p.rounds+1)
		}
		fmt.Fprint(p.w, line)
		p.dirty = true
	}
	p.bytes, p.since, p.next = 0, now, now.Add(time.Second)
}

// end leaves the line, so that what is written next begins on its own.
func (p *progress) end() {
	if p.dirty {
		fmt.Fprintln(p.w)
		p.dirty = false
	}
}

// clockTime is 1:02:03 for so many milliseconds.
func clockTime(ms int64) string {
	s := ms / 1000
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
