package hls

import (
	"container/list"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// maxOpenFiles bounds the files of segments that stay open between requests: those of sixty streams that
// players ask for. A process that may have few descriptors keeps fewer open, see openFilesLimit.
const maxOpenFiles = 1024

// openFiles keeps the files of segments open between requests. A segment is asked for again and again while it is
// listed, and to open a file beneath the storage's root takes eight system calls.
//
// Requests share a descriptor and read at offsets of their own. A file is closed when its segment goes, or when others
// were asked for since, and nobody reads it any more.
type openFiles struct {
	mu     sync.Mutex
	max    int
	kept   list.List // of *openFile, the one asked for last first
	closed bool
}

// openFile is the open file of a segment. All but file and size is guarded by openFiles.mu.
type openFile struct {
	owner   *openFiles
	segment *segment
	file    *os.File
	size    int64

	readers int
	kept    *list.Element // nil: whoever reads it last closes it
}

// open returns the bytes of a stored segment, from their beginning.
func (c *Channel) open(s *segment) (Blob, error) {
	files := &c.server.files
	if f := files.reuse(s); f != nil {
		return &reading{openFile: f}, nil
	}
	blob, err := c.server.config.Storage.Open(c.folder() + "/" + s.uri)
	if err != nil {
		return nil, err
	}
	file, ok := blob.(*os.File)
	if !ok {
		return blob, nil
	}
	f, err := files.add(s, file)
	if err != nil {
		shut(file)
		return nil, err
	}
	return &reading{openFile: f}, nil
}

// reuse returns the file of a segment if it is open.
func (o *openFiles) reuse(s *segment) *openFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := s.open
	if f == nil {
		return nil
	}
	f.readers++
	o.kept.MoveToFront(f.kept)
	return f
}

// add takes a file that was opened for a reader of a segment.
func (o *openFiles) add(s *segment, file *os.File) (*openFile, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != s.size {
		return nil, fmt.Errorf("it has %d bytes, and had %d", info.Size(), s.size)
	}
	f := &openFile{owner: o, segment: s, file: file, size: s.size, readers: 1}
	shut(o.keep(f))
	return f, nil
}

// keep keeps a file open if it may, and returns one that is to be closed for it, or nil.
func (o *openFiles) keep(f *openFile) *os.File {
	o.mu.Lock()
	defer o.mu.Unlock()
	// Another request may have been faster, and the segment may have gone meanwhile.
	if f.segment.open != nil || f.segment.gone.Load() || o.closed || o.max == 0 {
		return nil
	}
	f.segment.open, f.kept = f, o.kept.PushFront(f)
	if o.kept.Len() > o.max {
		return o.letGo(o.kept.Back().Value.(*openFile))
	}
	return nil
}

// letGo keeps a file no longer, and returns it if it is to be closed: nobody reads it. The caller holds mu.
func (o *openFiles) letGo(f *openFile) *os.File {
	o.kept.Remove(f.kept)
	f.segment.open, f.kept = nil, nil
	if f.readers > 0 {
		return nil
	}
	return f.file
}

// forget has the file of a segment closed that has gone.
func (o *openFiles) forget(s *segment) {
	var file *os.File
	o.mu.Lock()
	if s.open != nil {
		file = o.letGo(s.open)
	}
	o.mu.Unlock()
	shut(file)
}

// close has all files closed, and keeps none from now on.
func (o *openFiles) close() {
	var files []*os.File
	o.mu.Lock()
	o.closed = true
	for o.kept.Len() > 0 {
		files = append(files, o.letGo(o.kept.Back().Value.(*openFile)))
	}
	o.mu.Unlock()
	for _, file := range files {
		shut(file)
	}
}

// release ends a reader.
func (f *openFile) release() {
	f.owner.mu.Lock()
	f.readers--
	last := f.readers == 0 && f.kept == nil
	f.owner.mu.Unlock()
	if last {
		shut(f.file)
	}
}

// shut closes a file, if there is one. It may take its time, so nobody has a lock meanwhile.
func shut(file *os.File) {
	if file != nil {
		_ = file.Close() // it was only read
	}
}

// reading is a segment's file as one request reads it.
type reading struct {
	*openFile
	at int64
}

// InFile says where the rest of the bytes stand, for whoever can have the kernel send them. The file must not be used
// when the request is over. note is for whatever the sender finds out about the file, and the same for all requests.
func (r *reading) InFile() (file *os.File, offset int64, note *atomic.Int32) {
	return r.file, r.at, &r.segment.note
}

// Stat implements Blob.
func (r *reading) Stat() (os.FileInfo, error) { return r.file.Stat() }

// Read implements io.Reader.
func (r *reading) Read(b []byte) (int, error) {
	n, err := r.file.ReadAt(b, r.at)
	r.at += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (r *reading) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errSeek
	}
	r.at = offset
	return offset, nil
}

// Close implements io.Closer.
func (r *reading) Close() error {
	r.release()
	return nil
}

// gone notes that a segment cannot be fetched any more. Who is reading it reads on.
func (s *Server) gone(segment *segment) {
	segment.gone.Store(true)
	s.files.forget(segment)
}
