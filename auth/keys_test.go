package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func keys(t testing.TB, lines ...string) *Keys {
	t.Helper()
	k, err := ParseKeys(lines)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAKeyOpensItsOwnStreams(t *testing.T) {
	k := keys(t, "live/test first-key", "live/test second-key", "studio/* whole-app-key", "live/hash "+hashed("hashed-key"))
	for _, test := range []struct {
		stream, query string
		want          Code
	}{
		{"live/test", "key=first-key", ""}, {"live/test", "key=second-key", ""}, {"live/test", "token=first-key", ""},
		{"live/test", "a=b&key=first-key", ""}, {"studio/any", "key=whole-app-key", ""}, {"live/hash", "key=hashed-key", ""},
		{"live/test", "", NoToken}, {"live/test", "key=", NoToken}, {"live/test", "key=first-ke", BadToken},
		{"live/test", "key=whole-app-key", BadToken}, {"live/other", "key=first-key", BadToken},
		{"live/hash", "key=" + hashed("hashed-key"), BadToken}, {"studiox/any", "key=whole-app-key", BadToken},
	} {
		expect(t, k, asking(Publish, test.stream, test.query), test.want)
	}
}

func TestKeysAreForPublishingOnly(t *testing.T) {
	expect(t, keys(t, "live/test first-key"), asking(Play, "live/test", "key=first-key"), NoToken)
}

func TestAKeyIsTheIdentityOfItsPublisher(t *testing.T) {
	k := keys(t, "live/test first-key", "live/test second-key", "live/public name:secret-name")
	first := expect(t, k, asking(Publish, "live/test", "key=first-key"), "")
	again := asking(Publish, "live/test", "x=y&key=first-key")
	again.Remote = request("203.0.113.9:1", "").Remote
	if expect(t, k, again, "").Credential != first.Credential {
		t.Error("the same key from another address is somebody else")
	}
	if expect(t, k, asking(Publish, "live/test", "key=second-key"), "").Credential == first.Credential {
		t.Error("two keys are the same publisher")
	}
}

func TestANameThatIsAKeyIsNotThePublicOne(t *testing.T) {
	k := keys(t, "live/alice name:sk_8d2f9c11", "live/bob name:"+hashed("sk_77aa01ff"), "other/carol name:sk_8d2f9c11")
	for asked, public := range map[string]string{
		"live/sk_8d2f9c11": "live/alice", "live/sk_77aa01ff": "live/bob", "other/sk_8d2f9c11": "other/carol",
	} {
		if d := expect(t, NewGate(GateConfig{Publish: k, Names: k}), asking(Publish, asked, ""), ""); d.Stream != public {
			t.Errorf("%s is published as %q, want %q", asked, d.Stream, public)
		}
	}
	for _, stream := range []string{"live/alice", "live/bob", "other/sk_77aa01ff", "live/sk_8d2f9c1"} {
		expect(t, k, asking(Publish, stream, ""), NoToken)
	}
}

func TestFaultsInKeysAreReportedWithoutTheKeys(t *testing.T) {
	for _, line := range []string{
		"live/test", "live/test a-long-key more", "live a-long-key", "live/te*t a-long-key", "live/test short",
		"live/test sha256:abcdef0123", "live/* name:a-long-key", "live/x name:bad/name-is-long", "live/x name:ends-with-*",
		"live/x name:sha256:123456789",
	} {
		_, err := ParseKeys([]string{"live/good good-long-key", line})
		if err == nil || !strings.Contains(err.Error(), "key 2: ") {
			t.Errorf("%q: error %v", line, err)
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if len(word) > 4 && strings.Contains(err.Error(), strings.TrimPrefix(word, "name:")) {
				t.Errorf("the error %q shows %q", err, word)
			}
		}
	}
	if _, err := ParseKeys([]string{"live/a name:same-secret", "live/b name:same-secret"}); !errors.Is(err, errSameName) {
		t.Errorf("one name for two streams: %v", err)
	}
}

func TestAFileOfSecretsThatOthersReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // modes say nothing there
	}
	name := filepath.Join(t.TempDir(), "keys")
	content := "# a comment\n\n  live/test   first-key \n"
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o660: false, 0o604: false, 0o602: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		data, err := ReadSecretFile(name)
		if (err == nil) != want || !want && !errors.Is(err, ErrFileMode) {
			t.Errorf("mode %o: %v", mode, err)
		}
		if want && len(SecretLines(data)) != 1 {
			t.Errorf("lines %q", SecretLines(data))
		}
	}
	for mode, want := range map[os.FileMode]bool{0o644: true, 0o600: true, 0o664: false, 0o646: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeyFile(name); (err == nil) != want || !want && !errors.Is(err, ErrFileWritable) {
			t.Errorf("public keys, mode %o: %v", mode, err)
		}
	}
	if _, err := ReadSecretFile(filepath.Dir(name)); err == nil {
		t.Error("a folder was read")
	}
	if lines := SecretLines([]byte("\ufefffirst\r\nsecond")); !slices.Equal(lines, []string{"first", "second"}) {
		t.Errorf("an editor's file has the lines %q", lines)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("live/test first-key")
	f.Add("live/* sha256:0123")
	f.Add("live/x name:secret-name")
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKeys(SecretLines([]byte(line)))
		if err != nil {
			return
		}
		if d := decide(t, k, asking(Publish, "live/unknown", "key=guessed-key")); d.Allowed && !strings.Contains(line, "guessed-key") {
			t.Errorf("%q lets a guess in", line)
		}
	})
}
