package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write writes a file that others cannot read.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAStreamWithASecretNameNeedsARuleWithKeys(t *testing.T) {
	file := write(t, "keys", "live/alice name:sk_8d2f9c11\nlive/bob an-ordinary-key\n")
	for publish, want := range map[string]bool{
		"keys": true, "loopback, keys": true, "live/alice = signed, keys; open": true, "live/sk_* = open; keys": true,
		"loopback": false, "open": false, "live/bob = keys; open": false, "studio/* = keys; deny": false,
	} {
		_, err := Load(Sources{File: write(t, "headwater.yaml",
			"auth:\n  publish: \""+publish+"\"\n  keys_file: "+file+"\n  secret: an-example-secret-of-32-letters!\n")})
		if want != (err == nil) || !want && !strings.Contains(err.Error(), "live/alice has a name: key") {
			t.Errorf("%s: %v", publish, err)
		}
		if err != nil && strings.Contains(err.Error(), "sk_8d2f9c11") {
			t.Errorf("the key is shown: %v", err)
		}
	}
}
