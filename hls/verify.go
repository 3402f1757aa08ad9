package hls

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// errDiffers: a segment is not what was listed.
var errDiffers = errors.New("its bytes are not those that were listed")

// isDamage reports whether an error says that a segment is gone, or other than it was: nothing else does, such as a
// disk that could not read it.
func isDamage(err error) bool {
	return errors.Is(err, errDiffers) || errors.Is(err, fs.ErrNotExist)
}

// verifySegment reads a segment and reports how it differs from what was written down.
func verifySegment(storage Storage, folder string, e *entry) error {
	blob, err := storage.Open(folder + "/" + e.URI)
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }()
	h := sha256.New()
	size, err := io.Copy(h, blob)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if size != e.Size {
		return fmt.Errorf("it has %d bytes, and had %d: %w", size, e.Size, errDiffers)
	}
	if digest(h.Sum(nil)) != e.SHA256 {
		return errDiffers
	}
	return nil
}

// Verified says what Verify has looked at.
type Verified struct {
	Channels int // folders with a journal
	Segments int // entries in them
	// Listed is the number of segments in the newest playlists, all of which were read.
	Listed int
	Bytes  int64 // of the segments that were read
	// Unfinished is the number of journals that end within a record, as they do when
	// the process was killed. That is no fault.
	Unfinished int
}

// Verify holds all journals in a storage against their own checksums and chains, and
// against the segments. It returns at the first thing that is wrong, which the error
// names. It may run while a server uses the storage, which inUse says: then a journal may be
// missing, or behind its segments.
func Verify(storage Storage, inUse bool) (Verified, error) {
	var v Verified
	all, err := leftovers(storage)
	if err != nil {
		return v, err
	}
	for _, l := range all {
		err := v.channel(storage, l)
		if err == nil && !inUse {
			err = l.checkRecorded(storage)
		}
		if err != nil {
			return v, fmt.Errorf("%s: %w", l.folder(), err)
		}
	}
	return v, nil
}

func (v *Verified) channel(storage Storage, l *leftover) error {
	err := l.read(storage)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the server has removed it just now
	}
	if err == nil {
		err = l.text.fault
	}
	if err != nil {
		return fmt.Errorf("%s: %w", journalName, err)
	}
	v.Channels++
	v.Segments += len(l.text.entries)
	if l.text.torn > 0 {
		v.Unfinished++
	}
	for i := range l.text.entries {
		if err := v.segment(storage, l, &l.text.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkRecorded looks for segments that should have a record. The newest may have none, if the process
// was killed between storing it and writing it down.
func (l *leftover) checkRecorded(storage Storage) error {
	if err := l.list(storage); err != nil {
		return err
	}
	if len(l.text.entries) == 0 {
		if len(l.files) > 0 {
			return fmt.Errorf("%d files, and no %s: it was removed, or the storage could not take it", len(l.files), journalName)
		}
		return nil
	}
	last, missed := l.last().Sequence, 0
	for file := range l.files {
		if sequence, ok := sequenceOf(file); ok && sequence > last {
			missed++
		}
	}
	if missed > 1 {
		return fmt.Errorf("%s: it ends with segment %d, and there are %d newer ones", journalName, last, missed)
	}
	return nil
}

// segment checks one entry. A segment that is not listed any more may be gone.
func (v *Verified) segment(storage Storage, l *leftover, e *entry) error {
	listed := e.Sequence >= l.last().Head && !e.Missing
	err := verifySegment(storage, l.folder(), e)
	switch {
	case err == nil:
		v.Bytes += e.Size
		if listed {
			v.Listed++
		}
		return nil
	case errors.Is(err, fs.ErrNotExist) && (!listed || l.movedOn(storage, e)):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("segment %d (%s): it is listed, and not there", e.Sequence, e.URI)
	}
	return fmt.Errorf("segment %d (%s): %w", e.Sequence, e.URI, err)
}

// movedOn reports whether the playlist has lost a segment since the journal was read.
func (l *leftover) movedOn(storage Storage, e *entry) bool {
	now := &leftover{name: l.name, incarnation: l.incarnation}
	err := now.read(storage)
	return errors.Is(err, fs.ErrNotExist) || err == nil && (now.last().Head > e.Sequence || now.text.ended != nil)
}
