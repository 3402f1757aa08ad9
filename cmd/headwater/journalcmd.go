package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/storage"
)

func newJournal() *cobra.Command {
	return group("journal", "Look after the journals of HLS streams", newJournalVerify())
}

func newJournalVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check the journals in a data directory against the segments",
		Long: `Check all journals beneath a data directory (storage.dir): each record against its checksum
and its predecessor, each segment against its size and SHA-256. It stops at the first thing that
is wrong, names it, and exits with 1. A server may be using the directory meanwhile; then a journal that is
not there, or says less than there is, is no fault.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Opening would make it.
			switch info, err := os.Stat(args[0]); {
			case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
				return fmt.Errorf("%s is not a directory", args[0])
			case err != nil:
				return failure{err}
			}
			dir, err := storage.OpenDir(args[0], storage.Options{})
			if err != nil {
				return failure{err}
			}
			defer dir.Close() //nolint:errcheck // only read
			v, err := hls.Verify(dir, inUse(dir))
			if err != nil {
				return failure{err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d journals with %d segments are as they were written: %d of them listed, %d bytes read, %d cut short by a crash\n",
				v.Channels, v.Segments, v.Listed, v.Bytes, v.Unfinished)
			return nil
		},
	}
}

// inUse reports whether a server uses a data directory, or may be using it.
func inUse(dir *storage.Dir) bool {
	return dir.Lock() != nil || dir.Unlock() != nil // not for longer: a server may be about to start
}
