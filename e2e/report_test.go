package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// report fails the test for each fault.
func report(t *testing.T, what string, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Errorf("%s: %s", what, f)
	}
}

// read reads the recording's frames, and has each decoded.
func (rec hlsRecording) read(ctx context.Context, t *testing.T) media {
	t.Helper()
	dir := t.TempDir()
	for i, part := range rec.parts() {
		path := filepath.Join(dir, fmt.Sprintf("part%d.ts", i))
		writeFile(t, path, part)
		if err := decodes(ctx, path); err != nil {
			t.Errorf("decode HLS: %v", err)
		}
	}
	path := filepath.Join(dir, "recording.ts")
	writeFile(t, path, slices.Concat(rec.parts()...))
	m, err := readMedia(ctx, path)
	if err != nil {
		t.Fatalf("read HLS: %v", err)
	}
	return m
}

// read reads the recording's frames, and has each decoded.
func (rec flvRecording) read(ctx context.Context, t *testing.T) media {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.flv")
	writeFile(t, path, rec.body)
	if err := decodes(ctx, path); err != nil {
		t.Errorf("decode FLV: %v", err)
	}
	m, err := readMedia(ctx, path)
	if err != nil {
		t.Fatalf("read FLV: %v", err)
	}
	return m
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
