package hls

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// leftover is a channel's folder that an earlier process has left.
type leftover struct {
	name        remux.StreamName
	incarnation string
	// files are those of the channel in the folder, size by name; nil before they are listed.
	files map[string]int64
	text  journalText
	err   error // why it is not continued
	// rest is what was not read of a large journal, nil if all was.
	rest *restOfJournal
	// broken are segments that are not as they were listed, unread why others could not be read; both by
	// sequence number.
	broken map[uint64]bool
	unread map[uint64]error
	// channel is what was made of it, doubted its segments that could not be read.
	channel *Channel
	doubted []*segment
}

// newLeftover returns the leftover in a folder; false if it is no channel's.
func newLeftover(folder string) (*leftover, bool) {
	parts := strings.Split(folder, "/")
	if len(parts) != 3 || !hexadecimal(parts[2], incarnationSize) {
		return nil, false
	}
	name, err := remux.ParseStreamName(parts[0], parts[1])
	return &leftover{name: name, incarnation: parts[2]}, err == nil
}

// leftovers finds the folders of channels: APP/NAME/INCARNATION.
func leftovers(storage Storage) (list []*leftover, err error) {
	apps, err := storage.Folders(".")
	for _, app := range apps {
		names, fault := storage.Folders(app)
		err = errors.Join(err, fault)
		for _, name := range names {
			incarnations, fault := storage.Folders(app + "/" + name)
			err = errors.Join(err, fault)
			for _, incarnation := range incarnations {
				if l, ok := newLeftover(app + "/" + name + "/" + incarnation); ok {
					list = append(list, l)
				}
			}
		}
	}
	return list, err
}

// list finds out which files there are. Others than a channel's are somebody else's.
func (l *leftover) list(storage Storage) error {
	blobs, err := storage.List(l.folder())
	if err != nil {
		return err
	}
	l.files = map[string]int64{}
	for _, b := range blobs {
		file := strings.TrimPrefix(b.Name, l.folder()+"/")
		if _, ok := sequenceOf(file); ok || file == journalName {
			l.files[file] = b.Size
		}
	}
	return nil
}

func (l *leftover) folder() string { return string(l.name) + "/" + l.incarnation }

// errUnread: the journal could not be read, and may be whole.
var errUnread = errors.New("read the journal")

// isKept reports whether the channel cannot be continued now, and perhaps can be later, by another process.
func (l *leftover) isKept() bool {
	return errors.Is(l.err, errVersion) || errors.Is(l.err, errUnread) && !errors.Is(l.err, fs.ErrNotExist)
}

func (l *leftover) last() *entry { return &l.text.entries[len(l.text.entries)-1] }

// read reads the whole journal.
func (l *leftover) read(storage Storage) error {
	text, err := readBlob(storage, l.folder()+"/"+journalName, maxJournal)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	if l.text, err = readJournal(text); err != nil {
		return err
	}
	return l.checkPlace(l.text.opening)
}

// checkPlace refuses the journal of another channel.
func (l *leftover) checkPlace(o *opening) error {
	if o != nil && (o.Stream != string(l.name) || o.Incarnation != l.incarnation) {
		return fmt.Errorf("the journal is that of %s/%s", o.Stream, o.Incarnation)
	}
	return nil
}

func readBlob(storage Storage, name string, limit int64) ([]byte, error) {
	blob, err := storage.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = blob.Close() }()
	text, err := io.ReadAll(io.LimitReader(blob, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return text, err
}

// findDamage looks for segments that are not there, or not whole: newest first, and by
// their bytes as long as there is time. One that could not be read may be whole.
func (l *leftover) findDamage(storage Storage, deadline time.Time) {
	l.broken, l.unread = map[uint64]bool{}, map[uint64]error{}
	for i := len(l.text.entries) - 1; i >= 0; i-- {
		e := &l.text.entries[i]
		err := l.checkSize(storage, e)
		if err == nil && e.Sequence >= l.last().Head && time.Now().Before(deadline) {
			err = verifySegment(storage, l.folder(), e)
		}
		switch {
		case isDamage(err):
			l.broken[e.Sequence] = true
		case err != nil:
			l.unread[e.Sequence] = err
		}
	}
}

// checkSize reports how a segment differs from what was written down as far as its size says, or why that
// is not known.
func (l *leftover) checkSize(storage Storage, e *entry) error {
	if e.Missing {
		return fs.ErrNotExist
	}
	size, err := l.sizeOf(storage, e)
	if err == nil && size != e.Size {
		err = errDiffers
	}
	return err
}

// sizeOf returns the size of a segment.
func (l *leftover) sizeOf(storage Storage, e *entry) (int64, error) {
	if l.files != nil {
		if size, ok := l.files[e.URI]; ok {
			return size, nil
		}
		return 0, fs.ErrNotExist
	}
	blob, err := storage.Open(l.folder() + "/" + e.URI)
	if err != nil {
		return 0, err
	}
	defer func() { _ = blob.Close() }()
	info, err := blob.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// orphans returns the names of files that no entry needs, and that this run has not made.
func (l *leftover) orphans() []string {
	needed := map[string]bool{journalName: true}
	for i := range l.text.entries {
		if e := &l.text.entries[i]; !l.broken[e.Sequence] {
			needed[e.URI] = true
		}
	}
	var list []string
	for file := range l.files {
		if !needed[file] && !strings.HasSuffix(file, "-"+l.channel.tag+segmentSuffix) {
			list = append(list, l.folder()+"/"+file)
		}
	}
	return list
}

// paths returns the names of all files.
func (l *leftover) paths() []string {
	var list []string
	for file := range l.files {
		list = append(list, l.folder()+"/"+file)
	}
	return list
}
