package hooks

import (
	"errors"
	"fmt"
	"io/fs"
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

// giveUp has the queue go on behind its first file, which is gone or damaged: with the next one that is there, or else with
// a new one in a folder that may have to be made again. It returns a lostError if bodies were lost, or why it cannot be
// done, and then nothing is given up. mu is held.
func (q *queue) giveUp(why error) error {
	kept, count, bytes, err := q.behindFirst()
	if err != nil {
		return fmt.Errorf("read queue behind a lost file: %w", err)
	}
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
	if last := q.files[len(q.files)-1]; len(kept) == 0 || kept[len(kept)-1] != last {
		if err := q.extend(); err != nil {
			return fmt.Errorf("begin another file: %w", err)
		}
		kept = append(kept, q.files[len(q.files)-1])
	}
	first := q.name(q.files[0])
	if os.Rename(first, filepath.Join(q.folder, damagedName)) != nil {
		_ = os.Remove(first) // if it stays, it is delivered again after the next start
	}
	lost := q.count - count
	q.files, q.head, q.offset, q.count, q.bytes = kept, nil, 0, count, bytes
	err = q.writeCursor()
	if lost > 0 {
		err = &lostError{lost, errors.Join(why, err)}
	}
	return err
}

// behindFirst returns those files behind the first that are there, how many bodies can be read of them, and their bytes.
func (q *queue) behindFirst() (files []uint64, count, bytes int64, err error) {
	for _, number := range q.files[1:] {
		b, err := os.ReadFile(q.name(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, 0, err
		}
		files = append(files, number)
		bytes += int64(len(b))
		for {
			_, rest, ok := cutRecord(b)
			if !ok {
				break
			}
			b = rest
			count++
		}
	}
	return files, count, bytes, nil
}
