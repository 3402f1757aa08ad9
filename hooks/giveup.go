package hooks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var errDamaged = errors.New("the queue's file is damaged")

// lostError reports bodies that were given up.
type lostError struct {
	bodies int64
	err    error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("%d events cannot be read back: %v", e.bodies, e.err)
}

func (e *lostError) Unwrap() error { return e.err }

// giveUp has the queue go on behind its first file, which cannot be read: with the next one, or else with a new one in a
// folder that may have to be made again. It returns a lostError, or why that cannot be. mu is held.
func (q *queue) giveUp(why error) error {
	if err := os.MkdirAll(q.folder, 0o700); err != nil {
		return fmt.Errorf("make the queue's folder: %w", err)
	}
	cursor, err := os.OpenFile(filepath.Join(q.folder, cursorName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("make the queue's cursor: %w", err)
	}
	_ = q.cursor.Close() // it is written at each delivery, and need not be true
	q.cursor = cursor
	// What is added goes to the last file, which must be there for that, and sound.
	if _, err := os.Stat(q.name(q.files[len(q.files)-1])); err != nil || len(q.files) == 1 {
		if err := q.extend(); err != nil {
			return fmt.Errorf("begin another file: %w", err)
		}
	}
	_ = os.Remove(q.name(q.files[0])) // if it stays, it is delivered again after the next start
	q.files, q.head, q.offset = q.files[1:], nil, 0
	before := q.count
	q.count, q.bytes = 0, 0
	for _, number := range q.files {
		b, _ := os.ReadFile(q.name(number)) // one that cannot be read is given up in its turn
		q.bytes += int64(len(b))
		for {
			_, rest, ok := cutRecord(b)
			if !ok {
				break
			}
			b = rest
			q.count++
		}
	}
	return &lostError{before - q.count, errors.Join(why, q.writeCursor())}
}
