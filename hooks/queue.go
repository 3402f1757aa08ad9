package hooks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// errFull reports that a queue has reached its bound.
var errFull = errors.New("the queue is full")

const (
	// maxFile is the size beyond which a queue goes on in another file, so that what was delivered
	// frees the disk in steps of it.
	maxFile = 1 << 20
	// fileShare is how many files a full queue has at least, for the same reason.
	fileShare = 8
	// idleFile is the most that a queue takes in which nothing waits.
	idleFile = 64 << 10
	// fileSuffix ends the name of a queue's file, which begins with its number.
	fileSuffix = ".events"
	cursorName = "cursor"
	// damagedName is what is left of the last file that was given up: one, so that it takes no more disk than that.
	damagedName = "damaged"
)

// queue is a list of bodies on disk, oldest first. One goroutine adds and another takes.
//
// It is a folder of numbered files of records, and a file that says where the oldest body that was not
// taken is: "NUMBER OFFSET\n". The cursor is written in place after each delivery; if it is lost or torn,
// reading begins with the oldest file, and what was delivered from there is delivered again.
type queue struct {
	folder string

	mu    sync.Mutex
	limit int64    // bytes of all files
	files []uint64 // numbers, rising; the last is written
	tail  *os.File // the last file, open for appending
	size  int64    // of it
	// head are the contents of the first file from the cursor on, as far as they were read, and
	// offset is where in that file they begin.
	head   []byte
	offset int64
	cursor *os.File
	count  int64 // bodies that wait
	bytes  int64 // of all files
}

// openQueue opens the queue in a folder, which is made when it is missing.
func openQueue(folder string, limit int64) (*queue, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the queue's folder: %w", err)
	}
	q := &queue{folder: folder, limit: limit}
	if err := q.restore(); err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	return q, nil
}

// setLimit bounds the queue otherwise from now on. What is beyond already stays.
func (q *queue) setLimit(limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

func (q *queue) name(number uint64) string {
	return filepath.Join(q.folder, fmt.Sprintf("%016d%s", number, fileSuffix))
}

// extend begins another file.
func (q *queue) extend() error {
	number := uint64(1)
	if len(q.files) > 0 {
		number = q.files[len(q.files)-1] + 1
	}
	tail, err := os.OpenFile(q.name(number), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if q.tail != nil {
		_ = q.tail.Close() // every write to it has been checked
	}
	q.tail, q.size = tail, 0
	q.files = append(q.files, number)
	return nil
}

// add writes a body behind all others. It fails with errFull when there is no room.
func (q *queue) add(body []byte) error {
	if len(body) == 0 || len(body) > maxRecord {
		return fmt.Errorf("a body of %d bytes", len(body))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	record := appendRecord(nil, body)
	if q.bytes+int64(len(record)) > q.limit {
		return errFull
	}
	if q.size >= min(maxFile, q.limit/fileShare) {
		if err := q.extend(); err != nil {
			return err
		}
	}
	if n, err := q.tail.Write(record); err != nil {
		if n > 0 {
			_ = q.tail.Truncate(q.size) // or the next start finds the torn record and cuts it off
		}
		return err
	}
	q.size += int64(len(record))
	q.bytes += int64(len(record))
	q.count++
	return nil
}

// sync returns when all that was added would survive a loss of power.
func (q *queue) sync() error {
	q.mu.Lock()
	tail := q.tail
	q.mu.Unlock()
	return tail.Sync()
}

// oldest returns the oldest body, nil if there is none. It stays until it is taken. What cannot be read back, for the disk
// has damaged it or somebody has removed the folder, is given up with a lostError, and the queue goes on behind it. Any
// other error may pass: nothing is given up for it.
func (q *queue) oldest() ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.count > 0 {
		if body, _, ok := cutRecord(q.head); ok {
			return body, nil
		}
		// Either the first file has grown, or it has been read to its end.
		head, err := readFrom(q.name(q.files[0]), q.offset)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = q.giveUp(err)
		case err != nil:
			err = fmt.Errorf("read queue: %w", err)
		default:
			q.head = head
			err = q.pass()
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// pass leaves the first file behind if there is no whole record in what is left of it.
func (q *queue) pass() error {
	if _, _, ok := cutRecord(q.head); ok {
		return nil
	}
	if len(q.files) == 1 || len(q.head) > 0 {
		return q.giveUp(errDamaged)
	}
	q.removeFirst()
	return nil
}

// readFrom reads a file from an offset to its end, which is at most maxFile and a record away.
func readFrom(name string, offset int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.NewSectionReader(f, offset, maxFile+recordHeader+maxRecord))
}

func (q *queue) removeFirst() {
	name := q.name(q.files[0])
	if info, err := os.Stat(name); err == nil {
		q.bytes -= info.Size()
	}
	_ = os.Remove(name) // if it stays, it is delivered again after the next start
	q.files, q.head, q.offset = q.files[1:], nil, 0
}

// take removes the oldest body.
func (q *queue) take() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	body, rest, ok := cutRecord(q.head)
	if !ok {
		return errors.New("nothing to take")
	}
	q.head = rest
	q.offset += int64(recordHeader + len(body))
	q.count--
	if q.count == 0 && q.size >= min(idleFile, q.limit/fileShare) {
		return q.restart()
	}
	if len(rest) == 0 && len(q.files) > 1 {
		q.removeFirst()
	}
	return q.writeCursor()
}

// restart begins a new file when all is delivered, so that an idle queue takes little room.
func (q *queue) restart() error {
	if err := q.extend(); err != nil {
		return err
	}
	for len(q.files) > 1 {
		q.removeFirst()
	}
	q.bytes = 0
	return q.writeCursor()
}

func (q *queue) writeCursor() error {
	// Padded to one length, so that a shorter one leaves nothing of the one before.
	_, err := q.cursor.WriteAt(fmt.Appendf(nil, "%-20d %-20d\n", q.files[0], q.offset), 0)
	return err
}

// waiting returns how many bodies wait, and the bytes of all files.
func (q *queue) waiting() (count, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count, q.bytes
}

func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Join(q.tail.Close(), q.cursor.Close())
}
