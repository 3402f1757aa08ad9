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

func TestWhatIsUnwiseIsSaid(t *testing.T) {
	folder := t.TempDir()
	cert, key := writePair(t, folder, "pair")
	file := write(t, "headwater.yaml", "auth: {jwt_issuer: x, key: a-secret-key, secret: another-secret-of-some-length}\nlog: {level: debug}\nhttps: {addr: \"127.0.0.1:0\", cert: "+
		cert+", key: "+key+"}\n")
	warnings := func(url string) string {
		t.Helper()
		t.Setenv("HEADWATER_AUTH_CALLBACK_URL", url)
		t.Setenv("HEADWATER_AUTH_JWKS_URL", url)
		t.Setenv("HEADWATER_ADMIN_TOKEN", "an-admin-token-of-the-environment")
		c, err := Load(Sources{File: file})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(c.Warnings(), "\n")
	}
	for _, url := range []string{"", "https://example.com/x?key=url-key", "http://127.0.0.1/", "http://localhost:1/", "http://[::1]/"} {
		if got := warnings(url); got != "" {
			t.Errorf("%s: %s", url, got)
		}
	}
	for _, f := range []string{file, key} {
		if err := os.Chmod(f, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := warnings("http://example.com/x?key=url-key")
	for _, want := range []string{
		"auth.callback_url: http://", "auth.jwks_url: http://", file + " has secrets (auth.key, auth.secret): others can read", "https.key: " + key + ": others can read",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not said:\n%s", want, got)
		}
	}
	for _, secret := range []string{"a-secret-key", "another-secret", "url-key", "admin"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is said:\n%s", secret, got)
		}
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := warnings(""); strings.Contains(got, file) {
		t.Errorf("it is said of a file that nobody else can read: %s", got)
	}
}

func TestAURLIsASecretIfSomethingIsInIt(t *testing.T) {
	for url, want := range map[string]bool{
		"https://example.com/keys.json": false, "https://example.com/keys.json?key=x": true, "https://user:password@example.com/": true,
	} {
		file := write(t, "headwater.yaml", "auth.jwks_url: "+url+"\n")
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Sources{File: file})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Warnings(); want != (len(got) == 1) {
			t.Errorf("%s: %q", url, got)
		}
	}
}
