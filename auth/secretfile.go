package auth

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxSecretFile bounds a file of keys, in bytes: a hundred thousand publishers' keys.
const maxSecretFile = 16 << 20

// ErrFileMode reports a file of secrets that others may read or that more than its owner may write.
var ErrFileMode = errors.New("others can read the file, or more than its owner can write it: chmod 0600, or 0640 for a group")

// ErrFileWritable reports a file that decides who may come in and that more than its owner may write.
var ErrFileWritable = errors.New("more than its owner can write the file: chmod 0644 or less")

// ReadSecretFile reads a file that has secrets in it. It refuses one whose mode lets others read it, or anybody but
// its owner write it.
func ReadSecretFile(name string) ([]byte, error) { return readFile("secret", name, checkSecretMode) }

// ReadKeyFile reads a file with public keys, which anybody may read. It refuses one whose mode lets anybody but its owner
// write it: who adds a key makes tokens.
func ReadKeyFile(name string) ([]byte, error) { return readFile("key", name, checkKeyMode) }

// CheckSecretFile looks at a file's mode as ReadSecretFile does; the error wraps ErrFileMode if that is what is wrong.
func CheckSecretFile(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("check mode: %w", err)
	}
	return checkSecretMode(info.Mode())
}

func checkSecretMode(mode fs.FileMode) error {
	if anyBits(mode, 0o027) {
		return ErrFileMode
	}
	return nil
}

func checkKeyMode(mode fs.FileMode) error {
	if anyBits(mode, 0o022) {
		return ErrFileWritable
	}
	return nil
}

// readFile reads a file of a kind whose mode is good.
func readFile(kind, name string, check func(fs.FileMode) error) ([]byte, error) {
	// Opening a pipe waits for whoever writes to it.
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s file %s: not a regular file", kind, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s file: %w", kind, err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s file: %w", kind, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s file %s: not a regular file", kind, name)
	}
	if err := check(info.Mode()); err != nil {
		return nil, fmt.Errorf("read %s file %s: %w", kind, name, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s file: %w", kind, err)
	}
	if len(data) > maxSecretFile {
		return nil, fmt.Errorf("read %s file %s: more than %d bytes", kind, name, maxSecretFile)
	}
	return data, nil
}

// byteOrderMark is what some editors begin a file with. It is no part of the first line's secret.
const byteOrderMark = "\ufeff"

// SecretLines returns the lines of a file of secrets, without comments (#), empty lines, and space around them.
func SecretLines(data []byte) []string {
	var lines []string
	for line := range strings.Lines(strings.TrimPrefix(string(data), byteOrderMark)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}
