package main

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime lets whoever changes several files end: a certificate and its key.
	settleTime = 200 * time.Millisecond
	// lookAnyway finds changes that nothing tells of, as on network file systems.
	lookAnyway = time.Minute
)

// fileWatch notices changes of files. It is made before they are read for the first time, so that no change is missed.
type fileWatch struct {
	files []string
	last  [sha256.Size]byte // what stood in them
}

func newFileWatch(files ...string) *fileWatch {
	return &fileWatch{files: files, last: contentOf(files)}
}

// run calls changed whenever the content or the mode of one of the files has changed and two looks at it have found the same: it may
// be half written at the first. It ends with ctx.
func (f *fileWatch) run(ctx context.Context, logger *slog.Logger, changed func()) {
	if len(f.files) == 0 {
		return
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		logger.Warn("changes of files are noticed late", "error", err)
		f.follow(ctx, notices{}, logger, changed)
		return
	}
	defer watcher.Close() //nolint:errcheck // nothing was written
	f.watchFolders(watcher, logger)
	f.follow(ctx, notices{watcher.Events, watcher.Errors}, logger, func() {
		f.watchFolders(watcher, logger)
		changed()
	})
}

// notices are what tells that there may be something to see. Both have to be read, for their sender waits; nil is none.
type notices struct {
	events <-chan fsnotify.Event
	faults <-chan error
}

// follow looks at the files when something tells of a change, and now and then anyway.
func (f *fileWatch) follow(ctx context.Context, told notices, logger *slog.Logger, changed func()) {
	// A file may have changed before its folder was watched.
	look := time.NewTimer(settleTime)
	defer look.Stop()
	settling := true
	soon := func() {
		if !settling {
			settling = true
			look.Reset(settleTime)
		}
	}
	seen := f.last
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-told.events:
			if !ok {
				told.events = nil
			}
			soon()
			continue
		case err, ok := <-told.faults:
			if !ok {
				told.faults = nil
			} else {
				logger.Warn("changes of files may have been missed", "error", err)
			}
			soon()
			continue
		case <-look.C:
		}
		now := contentOf(f.files)
		settled := now == seen || now == f.last
		seen = now
		if !settled {
			settling = true
			look.Reset(settleTime)
			continue
		}
		settling = false
		look.Reset(lookAnyway)
		if now != f.last {
			f.last = now
			changed()
		}
	}
}

// watchFolders watches the folders of the files, for files are replaced by renaming, and those that links lead to, for
// links are redirected. What is watched already stays so.
func (f *fileWatch) watchFolders(watcher *fsnotify.Watcher, logger *slog.Logger) {
	for _, name := range f.files {
		folders := []string{filepath.Dir(name)}
		if target, err := filepath.EvalSymlinks(name); err == nil {
			folders = append(folders, filepath.Dir(target))
		}
		for _, folder := range folders {
			if err := watcher.Add(folder); err != nil {
				logger.Warn("changes of a file are noticed late", "file", name, "error", err)
			}
		}
	}
}

// contentOf returns a hash of what stands in files, and of who may do what with them: one that was refused for its mode is
// another when that is right. One that cannot be read counts as empty: whoever reads it next says why. Opening what is no
// file could wait for somebody, and what it says has no end.
func contentOf(files []string) [sha256.Size]byte {
	all := sha256.New()
	for _, name := range files {
		one := sha256.New()
		if info, err := os.Stat(name); err == nil {
			one.Write([]byte(info.Mode().String()))
			if info.Mode().IsRegular() {
				hashFile(one, name)
			}
		}
		all.Write(one.Sum(nil))
	}
	return [sha256.Size]byte(all.Sum(nil))
}

func hashFile(to io.Writer, name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // only read
	_, _ = io.Copy(to, f)
}
