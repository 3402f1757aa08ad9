package hls

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// leftover is a channel's folder that an earlier process has left.
type leftover struct {
	name        remux.StreamName
	incarnation string
	files       map[string]int64 // size by name, in the folder
	text        journalText
	// broken are segments that are not as they were listed, by sequence number.
	broken map[uint64]bool
}

// leftovers finds the folders of channels: APP/NAME/INCARNATION.
func leftovers(blobs []BlobInfo) []*leftover {
	byFolder := map[string]*leftover{}
	var list []*leftover
	for _, b := range blobs {
		folder, name := path.Split(b.Name)
		parts := strings.Split(folder, "/")
		if len(parts) != 4 || !hexadecimal(parts[2], incarnationSize) {
			continue
		}
		if _, ok := sequenceOf(name); !ok && name != journalName {
			continue
		}
		stream, err := remux.ParseStreamName(parts[0], parts[1])
		if err != nil {
			continue
		}
		l := byFolder[folder]
		if l == nil {
			l = &leftover{name: stream, incarnation: parts[2], files: map[string]int64{}}
			byFolder[folder] = l
			list = append(list, l)
		}
		l.files[name] = b.Size
	}
	return list
}

func (l *leftover) folder() string { return string(l.name) + "/" + l.incarnation }

func (l *leftover) last() *entry { return &l.text.entries[len(l.text.entries)-1] }

// read reads the journal.
func (l *leftover) read(storage Storage) error {
	text, err := readBlob(storage, l.folder()+"/"+journalName, maxJournal)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if l.text, err = readJournal(text); err != nil {
		return err
	}
	if o := l.text.opening; o != nil && (o.Stream != string(l.name) || o.Incarnation != l.incarnation) {
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
// their bytes as long as there is time.
func (l *leftover) findDamage(storage Storage, deadline time.Time) {
	l.broken = map[uint64]bool{}
	for i := len(l.text.entries) - 1; i >= 0; i-- {
		e := &l.text.entries[i]
		size, there := l.files[e.URI]
		bad := e.Missing || !there || size != e.Size
		if !bad && e.Sequence >= l.last().Head && time.Now().Before(deadline) {
			bad = verifySegment(storage, l.folder(), e) != nil
		}
		if bad {
			l.broken[e.Sequence] = true
		}
	}
}

// orphans returns the names of files that no entry needs.
func (l *leftover) orphans() []string {
	needed := map[string]bool{journalName: true}
	for i := range l.text.entries {
		if e := &l.text.entries[i]; !l.broken[e.Sequence] {
			needed[e.URI] = true
		}
	}
	var list []string
	for file := range l.files {
		if !needed[file] {
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
