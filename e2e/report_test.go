package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// report fails the test for each fault.
func report(t *testing.T, what string, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Errorf("%s: %s", what, f)
	}
}

// read writes the recording to a file and reads its frames.
func (rec hlsRecording) read(ctx context.Context, t *testing.T) media {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.ts")
	if err := rec.writeTo(path); err != nil {
		t.Fatal(err)
	}
	return readRecording(ctx, t, path)
}

// read writes the recording to a file and reads its frames.
func (rec flvRecording) read(ctx context.Context, t *testing.T) media {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.flv")
	if err := os.WriteFile(path, rec.body, 0o600); err != nil {
		t.Fatal(err)
	}
	return readRecording(ctx, t, path)
}

// readRecording reads a recording's frames and has each decoded.
func readRecording(ctx context.Context, t *testing.T, path string) media {
	t.Helper()
	m, err := readMedia(ctx, path)
	if err != nil {
		t.Fatalf("read %s: %v", filepath.Base(path), err)
	}
	if err := decodes(ctx, path); err != nil {
		t.Errorf("decode %s: %v", filepath.Base(path), err)
	}
	return m
}
