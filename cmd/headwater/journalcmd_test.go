package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The opening of a journal, with a checksum of its own.
const (
	journalOpening = `dcfee06b {"previous":"0000000000000000000000000000000000000000000000000000000000000000","open":{"version":1,"stream":"live/test","incarnation":"0123456789abcdef"}}`
	journalFolder  = "live/test/0123456789abcdef"
)

// verify runs the command on a folder of these files.
func verify(t *testing.T, files map[string]string) (exit int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs strings.Builder
	exit = run(context.Background(), []string{"journal", "verify", dir}, &out, &errs)
	return exit, out.String(), errs.String()
}

func TestJournalVerifySaysWhatIsWrongAndExits1(t *testing.T) {
	exit, _, stderr := verify(t, map[string]string{journalFolder + "/journal": journalOpening + "\n00000000 {}\n"})
	if exit != exitFailed || !strings.Contains(stderr, journalFolder+": journal: ") || !strings.Contains(stderr, "checksum is wrong") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
}

func TestJournalVerifyOfAnEmptyDirectoryIsFine(t *testing.T) {
	exit, stdout, stderr := verify(t, nil)
	if exit != exitOK || !strings.HasPrefix(stdout, "0 journals with 0 segments") {
		t.Errorf("exit %d: %s%s", exit, stdout, stderr)
	}
}

func TestJournalVerifyOfNoDirectoryIsAMisuse(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	var out, errs strings.Builder
	exit := run(context.Background(), []string{"journal", "verify", missing}, &out, &errs)
	if exit != exitUsage || !strings.Contains(errs.String(), "is not a directory") {
		t.Errorf("exit %d: %s", exit, errs.String())
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
}
