//go:build unix

package auth

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestAPipeInPlaceOfAKeyFileIsRefusedAtOnce: opening it would wait for somebody to write to it, for ever.
func TestAPipeInPlaceOfAKeyFileIsRefusedAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := ReadSecretFile(name)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a pipe was read")
		}
	case <-time.After(30 * time.Second):
		t.Error("reading waits for a writer")
	}
}
