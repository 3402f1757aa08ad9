package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestDefaultsAreValidAndMeanWhatTheTableSays(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.RTMP.Addr != ":1935" || c.HTTP.Addr != ":8080" || c.Admin.Addr != "127.0.0.1:8081" ||
		c.HLS.Segment != 2*time.Second || c.HLS.Window != 6 || c.Stream.Grace != 30*time.Second ||
		c.RTMP.MaxMessage != 8<<20 || c.Storage.Kind != StorageDir || c.Storage.Dir != "./headwater-data" ||
		c.HLS.SegmentMaxAge != 31536000*time.Second || c.FLV.Latency > 100*time.Millisecond {
		t.Errorf("the defaults are not those of the contract: %+v", c)
	}
}

// Every row must reach a field of its own: two rows that set the same one would be a copy and paste.
func TestEveryRowHasAFieldOfItsOwn(t *testing.T) {
	other := map[string]string{"address": "127.0.0.1:1", "boolean": "false", "file": "other", "folder": "other", "secret": "other", "text": "other",
		"rules": "deny", "URL": "http://other/", "URLs": "http://other/", "events": "stream.live"}
	seen := map[string]bool{}
	for _, s := range table {
		if seen[s.key] || !regexp.MustCompile(`^[a-z]+\.[a-z_]+$`).MatchString(s.key) || s.help == "" {
			t.Errorf("row %q: twice, badly named, or without help", s.key)
		}
		seen[s.key] = true
		changed := Default()
		v := s.bind(&changed)
		candidates := append(strings.Split(v.kind, "|"), other[v.kind], "true", "3", "7s", "70s", "7ms", "65KiB", "error")
		for _, text := range candidates {
			if text != "" && v.set(text) == nil && v.get() != s.bind(ptr(Default())).get() {
				break
			}
		}
		changes := Changes(Default(), changed)
		if len(changes) != 1 || changes[0].Key != s.key {
			t.Errorf("row %s changes %v", s.key, changes)
		}
	}
	if fields := leaves(reflect.TypeFor[Config]()); fields != len(table) {
		t.Errorf("Config has %d fields, the table %d rows", fields, len(table))
	}
}

func ptr[T any](v T) *T { return &v }

func leaves(t reflect.Type) int {
	if t.Kind() != reflect.Struct {
		return 1
	}
	n := 0
	for f := range t.Fields() {
		if f.IsExported() {
			n += leaves(f.Type)
		}
	}
	return n
}

func TestValuesAreReadAndWrittenAlike(t *testing.T) {
	for _, test := range []struct{ key, text, want string }{
		{"rtmp.addr", "", ""}, {"rtmp.addr", "[::1]:1935", "[::1]:1935"}, {"rtmp.addr", "media_1.example.org:0", "media_1.example.org:0"},
		{"rtmp.addr", "[fe80::1%eth0]:1935", "[fe80::1%eth0]:1935"},
		{"stream.grace", "1m30s", "1m30s"}, {"hls.segment", "60s", "1m"}, {"hls.segment", "1500ms", "1.5s"},
		{"stream.grace", "7200s", "2h"}, {"stream.grace", "1h0m5s", "1h0m5s"}, {"stream.grace", "10m", "10m"}, {"stream.grace", "0", "0s"},
		{"rtmp.max_message", "65536", "64KiB"}, {"rtmp.max_message", "1 MiB", "1MiB"}, {"rtmp.max_message", "100KB", "100000B"},
		{"rtmp.max_message", "100001B", "100001B"}, {"flv.max_backlog", "1GiB", "1GiB"},
		{"hls.window", "10", "10"}, {"hls.enabled", "no", "false"}, {"hls.enabled", "on", "true"},
		{"http.public_url", "https://cdn.example.com/", "https://cdn.example.com"}, {"http.public_url", "", ""},
		{"log.level", "warn", "warn"}, {"storage.kind", "memory", "memory"},
	} {
		var c Config
		s, _ := find(test.key)
		v := s.bind(&c)
		if err := v.set(test.text); err != nil {
			t.Errorf("%s: %v", test.key, err)
			continue
		}
		if got := v.get(); got != test.want {
			t.Errorf("%s: %q is written %q, want %q", test.key, test.text, got, test.want)
		}
		if err := v.set(v.get()); err != nil || v.get() != test.want {
			t.Errorf("%s: %q is not read back: %v", test.key, test.want, err)
		}
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, test := range []struct{ key, text, want string }{
		{"rtmp.addr", "1935", `write ":1935"`}, {"rtmp.addr", "localhost", "not host:port"},
		{"rtmp.addr", ":65536", "port number"}, {"rtmp.addr", ":rtmp", "port number"}, {"rtmp.addr", ":+1", "port number"},
		{"rtmp.addr", ":01935", "leading zeros"}, {"rtmp.addr", "::1:1935", "not host:port"},
		{"rtmp.addr", "300.1.1.1:1935", "host name"}, {"rtmp.addr", "-a.example:1935", "host name"}, {"rtmp.addr", "a b:1935", "host name"},
		{"rtmp.addr", "a..b:1935", "host name"}, {"rtmp.addr", "http://a:1935", "not host:port"},
		{"hls.segment", "2", `write "2s"`}, {"hls.segment", "two", "not a duration"}, {"hls.segment", "-1s", "not between 100ms and 1m"},
		{"hls.segment", "99ms", "not between"}, {"hls.window", "2", "not between 3"}, {"hls.window", "6.5", "whole number"},
		{"rtmp.max_message", "17MiB", "not between 64KiB and 16MiB"}, {"rtmp.max_message", "8 MiB/s", "not a size"},
		{"rtmp.max_message", "-8MiB", "not a size"}, {"rtmp.max_message", "9999999999GiB", "not a size"}, {"rtmp.max_message", "MiB", "not a size"},
		{"hls.enabled", "maybe", "neither true nor false"}, {"storage.kind", "s3", "not one of dir, memory"},
		{"log.level", "INFO+1", "not one of"}, {"storage.dir", "a\nb", "control character"},
		{"http.public_url", "cdn.example.com", "not a URL"}, {"http.public_url", "https://a/?b=c", "not a URL"},
		{"http.public_url", "https://me:secret@a", "not a URL"}, {"http.public_url", "javascript:x", "not a URL"},
	} {
		c := Default()
		s, _ := find(test.key)
		v := s.bind(&c)
		err := v.set(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s=%q: error %v, want %q", test.key, test.text, err, test.want)
		}
		if len(Changes(Default(), c)) != 0 {
			t.Errorf("%s=%q changed the field all the same", test.key, test.text)
		}
	}
}

func TestTheWholeIsChecked(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // "" is valid
	}{
		{"admin beyond loopback", func(c *Config) { c.Admin.Addr = ":8081" }, "admin.token (default): is required"},
		{"admin on a name", func(c *Config) { c.Admin.Addr = "example.org:8081" }, "admin.token (default): is required"},
		{"admin with a token", func(c *Config) { c.Admin.Addr, c.Admin.Token = ":8081", "t" }, ""},
		{"admin on IPv6 loopback", func(c *Config) { c.Admin.Addr = "[::1]:8081" }, ""},
		{"admin on localhost", func(c *Config) { c.Admin.Addr = "localhost:8081" }, ""},
		{"admin off", func(c *Config) { c.Admin.Addr = "" }, ""},
		{"a port twice", func(c *Config) { c.HTTP.Addr = "127.0.0.1:1935" }, "http.addr (default): 127.0.0.1:1935 is taken by rtmp.addr"},
		{"a port on two addresses", func(c *Config) { c.HTTP.Addr, c.RTMP.Addr = "127.0.0.1:80", "127.0.0.2:80" }, ""},
		{"chosen ports", func(c *Config) { c.HTTP.Addr, c.RTMP.Addr = ":0", ":0" }, ""},
		{"no way in", func(c *Config) { c.RTMP.Addr = "" }, "nobody could publish"},
		{"TLS without a certificate", func(c *Config) { c.RTMPS.Addr = ":443" }, "rtmps.cert (default): is required"},
		{"TLS without a key", func(c *Config) { c.HTTPS = TLSListener{Addr: ":443", Cert: "x"} }, "https.key (default): is required"},
		{"TLS with missing files", func(c *Config) { c.HTTPS = TLSListener{Addr: ":443", Cert: "x", Key: "y"} }, "https.cert (default): certificate and key: open x"},
		{"TLS that is off", func(c *Config) { c.HTTPS = TLSListener{Cert: "x"} }, ""},
		{"no folder", func(c *Config) { c.Storage.Dir = "" }, "storage.dir (default): is empty"},
		{"no folder needed", func(c *Config) { c.Storage = Storage{Kind: StorageMemory} }, ""},
		{"part of a second", func(c *Config) { c.HLS.SegmentMaxAge = 1500 * time.Millisecond }, "whole number of seconds"},
		{"more per address than in all", func(c *Config) { c.RTMP.MaxConnections = 10 }, "rtmp.max_connections_per_ip (default)"},
		{"no room for a message", func(c *Config) { c.RTMP.MaxPartial = c.RTMP.MaxMessage - 1 }, "rtmp.max_partial (default): has no room"},
		{"a value beyond its range", func(c *Config) { c.HLS.Window = 1 }, "hls.window (default): 1 is not between"},
	} {
		c := Default()
		test.change(&c)
		err := c.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

func TestWhatIsShownIsReadBack(t *testing.T) {
	c := Default()
	c.Admin.Token, c.Storage.Dir, c.HLS.Window, c.Stream.Grace = "hush", `a "b" #c: 'd' \e é`, 9, 95*time.Second
	var b strings.Builder
	if err := c.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hush") || !strings.Contains(b.String(), "(hidden)") {
		t.Errorf("the secret is not hidden:\n%s", b.String())
	}
	c.Admin.Token = hidden
	again, err := load(t, b.String())
	if err != nil {
		t.Fatal(err)
	}
	if changes := Changes(c, again); len(changes) != 0 {
		t.Errorf("read back with changes %v from:\n%s", changes, b.String())
	}
}

func TestChangedSecretsAreChangesButNotShown(t *testing.T) {
	a, b := Default(), Default()
	a.Admin.Token, b.Admin.Token = "one", "two"
	got := Changes(a, b)
	if want := []Change{{"admin.token", hidden, hidden, atOnce}}; !reflect.DeepEqual(got, want) {
		t.Errorf("changes: %v, want %v", got, want)
	}
}

func TestTheTableOfTheDocumentationHasEveryKey(t *testing.T) {
	var b strings.Builder
	if err := WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(table)+2 {
		t.Errorf("%d lines for %d settings", len(lines), len(table))
	}
	for i, line := range lines[2:] {
		if !strings.HasPrefix(line, "| `"+table[i].key+"` |") || strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 6 {
			t.Errorf("row %d: %s", i, line)
		}
	}
}

func TestTLSPairsAreRead(t *testing.T) {
	folder := t.TempDir()
	cert, key := writePair(t, folder, "one")
	_, otherKey := writePair(t, folder, "two")
	c := Default()
	c.RTMPS = TLSListener{Addr: ":19350", Cert: cert, Key: key}
	if err := c.Validate(); err != nil {
		t.Errorf("a good pair: %v", err)
	}
	c.RTMPS.Key = otherKey
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "rtmps.cert") {
		t.Errorf("a pair that does not fit: %v", err)
	}
	c.RTMPS.Key = filepath.Join(folder, "none")
	if err := c.Validate(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing key: %v", err)
	}
}
