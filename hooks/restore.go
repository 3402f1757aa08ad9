package hooks

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// restore finds what an earlier process left.
func (q *queue) restore() error {
	entries, err := os.ReadDir(q.folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), fileSuffix)
		if n, err := strconv.ParseUint(digits, 10, 64); ok && err == nil {
			q.files = append(q.files, n)
		}
	}
	slices.Sort(q.files)
	if q.cursor, err = os.OpenFile(filepath.Join(q.folder, cursorName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	q.readCursor()
	for i, n := range q.files {
		if err := q.survey(i, n); err != nil {
			return err
		}
	}
	if len(q.files) == 0 {
		return q.extend()
	}
	last := q.files[len(q.files)-1]
	q.tail, err = os.OpenFile(q.name(last), os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// readCursor reads where to begin, and removes the files before that.
func (q *queue) readCursor() {
	var text [64]byte
	n, _ := q.cursor.ReadAt(text[:], 0)
	fields := strings.Fields(string(text[:n]))
	if len(fields) != 2 {
		return // begin with the oldest: at least once
	}
	number, errNumber := strconv.ParseUint(fields[0], 10, 64)
	offset, errOffset := strconv.ParseInt(fields[1], 10, 64)
	if errNumber != nil || errOffset != nil || !slices.Contains(q.files, number) {
		return
	}
	for q.files[0] < number {
		_ = os.Remove(q.name(q.files[0])) // if it stays, it is delivered again
		q.files = q.files[1:]
	}
	q.offset = max(offset, 0)
}

// survey counts a file's bodies, and cuts off what is behind the last sound one.
func (q *queue) survey(i int, number uint64) error {
	b, err := os.ReadFile(q.name(number))
	if err != nil {
		return err
	}
	rest := b
	if i == 0 {
		if q.offset > int64(len(b)) {
			q.offset = 0
		}
		if _, _, ok := cutRecord(b[q.offset:]); !ok && q.offset < int64(len(b)) {
			q.offset = 0 // the cursor points into a record
		}
		rest = b[q.offset:]
		q.head = rest
	}
	for {
		_, after, ok := cutRecord(rest)
		if !ok {
			break
		}
		rest = after
		q.count++
	}
	q.size = int64(len(b) - len(rest))
	q.bytes += q.size
	if len(rest) > 0 {
		if i == 0 {
			q.head = q.head[:len(q.head)-len(rest)]
		}
		return os.Truncate(q.name(number), q.size)
	}
	return nil
}
