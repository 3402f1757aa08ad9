package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecretFile bounds a file of keys, in bytes: a hundred thousand publishers' keys.
const maxSecretFile = 16 << 20

// ErrFileMode reports a file of secrets that others may read or that more than its owner may write.
var ErrFileMode = errors.New("others can read the file, or more than its owner can write it: chmod 0600, or 0640 for a group")

// ReadSecretFile reads a file that has secrets in it. It refuses one whose mode lets others read it, or anybody but
// its owner write it.
func ReadSecretFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read secret file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read secret file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read secret file %s: not a regular file", name)
	}
	if tooOpen(info.Mode()) {
		return nil, fmt.Errorf("read secret file %s: %w", name, ErrFileMode)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, fmt.Errorf("read secret file: %w", err)
	}
	if len(data) > maxSecretFile {
		return nil, fmt.Errorf("read secret file %s: more than %d bytes", name, maxSecretFile)
	}
	return data, nil
}

// SecretLines returns the lines of a file of secrets, without comments (#), empty lines, and space around them.
func SecretLines(data []byte) []string {
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}
