package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// load runs Load on a file with this content, with flags.
func load(t *testing.T, yaml string, args ...string) (Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("headwater.yaml", []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(Sources{Flags: flags})
}

func TestFlagsBeatEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	t.Setenv("HEADWATER_HLS_WINDOW", "8")
	t.Setenv("HEADWATER_STREAM_GRACE", "8s")
	t.Setenv("HEADWATER_HTTPS_ADDR", "")
	c, err := load(t, "hls: {window: 7, segment: 7s}\nstream.grace: 7s\nhttps:\n  addr: :8443\n", "--stream.grace=9s")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ key, value, origin string }{
		{"stream.grace", "9s", "--stream.grace"},
		{"hls.window", "8", "HEADWATER_HLS_WINDOW"},
		{"hls.segment", "7s", "headwater.yaml:1"},
		{"https.addr", "", "HEADWATER_HTTPS_ADDR"},
		{"flv.wait", "10s", "default"},
	} {
		s, _ := find(want.key)
		if got := s.bind(&c).get(); got != want.value || c.Origin(want.key) != want.origin {
			t.Errorf("%s is %q from %s, want %q from %s", want.key, got, c.Origin(want.key), want.value, want.origin)
		}
	}
}

func TestFilesAreReadAsWritten(t *testing.T) {
	// By YAML's own rules these would be a sexagesimal number, a boolean and an octal one.
	c, err := load(t, "storage: {dir: 10:30}\nadmin: {token: no}\nhls:\n  window: 0010\nstream: # all commented out\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Storage.Dir != "10:30" || c.Admin.Token != "no" || c.HLS.Window != 10 {
		t.Errorf("storage %+v, admin %+v, window %d", c.Storage, c.Admin, c.HLS.Window)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "null\n"} {
		if _, err := load(t, empty); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestFaultsOfTheFileNameTheirLine(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{"rtmp:\n  adr: :1\n", "rtmp.adr (headwater.yaml:2): unknown key (did you mean rtmp.addr?)"},
		{"rtpm:\n  addr: :1\n", "rtpm (headwater.yaml:1): unknown key (did you mean rtmp?)"},
		{"RTMP:\n  addr: :1\n", "RTMP (headwater.yaml:1): unknown key (did you mean rtmp?)"},
		{"zzzzzz: 1\n", "zzzzzz (headwater.yaml:1): unknown key"},
		{"rtmp: :1935\n", "rtmp (headwater.yaml:1): is a group"},
		{"rtmp:\n  addr: [a, b]\n", "rtmp.addr (headwater.yaml:2): takes one value"},
		{"rtmp:\n  addr: {a: b}\n", "rtmp.addr (headwater.yaml:2): takes one value"},
		{"rtmp:\n  addr:\n", "rtmp.addr (headwater.yaml:2): has no value"},
		{"rtmp:\n  addr: :1\nrtmp.addr: :2\n", "rtmp.addr (headwater.yaml:3): is set twice, first in headwater.yaml:2"},
		{"hls: {window: 6, window: 7}\n", "hls.window (headwater.yaml:1): is set twice"},
		{"http:\n  addr: &a :1\nrtmp:\n  addr: *a\n", "rtmp.addr (headwater.yaml:4): YAML aliases"},
		{"rtmp: &r\n  addr: :1\nhttp: *r\n", "http (headwater.yaml:3): is a group"},
		{"- a\n", "headwater.yaml:1: the file is not"},
		{"hello\n", "headwater.yaml:1: the file is not"},
		{"rtmp: {\n", "headwater.yaml: line"},
		{"hls.window: 6\n---\nhls.window: 7\n", "second YAML document"},
		{"hls.window: 6\n---\n\t\n", "headwater.yaml: line 3"},
		{"1: 2\n", "1 (headwater.yaml:1): unknown key"},
	} {
		_, err := load(t, test.yaml)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %q", test.yaml, err, test.want)
		}
	}
}

func TestAllFaultsAreReportedTogether(t *testing.T) {
	t.Setenv("HEADWATER_RTMP_ADR", "secret-value")
	t.Setenv("HEADWATER_HLS_SEGMENT", "2")
	_, err := load(t, "rtmp: {addr: 1935}\nfoo: 1\nadmin:\n  addr: :81\n", "--hls.window=many")
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("error is a %T", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.Key+" "+f.Origin)
	}
	want := []string{
		"foo headwater.yaml:2", "HEADWATER_RTMP_ADR environment",
		"rtmp.addr headwater.yaml:1", "hls.segment HEADWATER_HLS_SEGMENT", "hls.window --hls.window",
		"admin.token default",
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(err.Error(), "secret-value") {
		t.Errorf("a value of an unknown variable is shown: %v", err)
	}
}

func TestOneMistakeIsOneFault(t *testing.T) {
	// The default of rtmp.addr would collide with http.addr, but rtmp.addr was meant to be something else.
	_, err := load(t, "http.addr: 127.0.0.1:1935\nrtmp.addr: 19350\n")
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Key != "rtmp.addr" {
		t.Errorf("faults: %v", err)
	}
}

func TestVariablesOfAClusterAreNotSettings(t *testing.T) {
	for _, name := range []string{
		"HEADWATER_SERVICE_HOST", "HEADWATER_SERVICE_PORT", "HEADWATER_SERVICE_PORT_RTMP", "HEADWATER_PORT",
		"HEADWATER_PORT_1935_TCP", "HEADWATER_PORT_1935_TCP_PROTO", "HEADWATER_PORT_1935_TCP_PORT",
		"HEADWATER_PORT_1935_TCP_ADDR", "HEADWATER_EDGE_SERVICE_HOST", "HEADWATER_EDGE_PORT_80_UDP_ADDR",
	} {
		if faults := unknownVariables([]string{name + "=tcp://10.0.0.1:1935"}); len(faults) != 0 {
			t.Errorf("%v", faults)
		}
	}
	if faults := unknownVariables([]string{"HEADWATER_RTMP_PORT=1935"}); len(faults) != 1 {
		t.Errorf("a port that somebody set by hand: %v", faults)
	}
	for _, name := range []string{"HEADWATER_RTMP_PORTS", "HEADWATER_FOO", "HEADWATER_"} {
		if faults := unknownVariables([]string{name + "=1"}); len(faults) != 1 {
			t.Errorf("%s: %v", name, faults)
		}
	}
	for _, s := range table {
		if clusterVariable.MatchString(s.env() + "=tcp://10.0.0.1:1") {
			t.Errorf("%s looks like a variable of a cluster", s.env())
		}
	}
}

func TestTheFileIsFound(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := Load(Sources{}); err != nil || (Sources{}).UsedFile() != "" {
		t.Errorf("without a file: %v", err)
	}
	if _, err := Load(Sources{File: "missing.yaml"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with a file that is not there: %v", err)
	}
	if err := os.WriteFile("other.yaml", []byte("hls.window: 9"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HEADWATER_CONFIG", "other.yaml")
	if c, err := Load(Sources{}); err != nil || c.HLS.Window != 9 {
		t.Errorf("with HEADWATER_CONFIG: window %d, %v", c.HLS.Window, err)
	}
	if err := os.WriteFile("big.yaml", make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Sources{File: "big.yaml"}); err == nil || !strings.Contains(err.Error(), "not a configuration file") {
		t.Errorf("with a file that is too large: %v", err)
	}
	if _, err := Load(Sources{File: t.TempDir()}); err == nil {
		t.Error("with a folder as the file: no error")
	}
}

func TestTheNearestKeyIsSuggestedIfOneIsNear(t *testing.T) {
	for written, want := range map[string]string{
		"rtmp.adr": "rtmp.addr", "rtmp.address": "rtmp.addr", "rtmp.max_conections": "rtmp.max_connections",
		"log.lvl": "log.level", "hls.segmnet": "hls.segment", "hsl.segment": "hls.segment", "HLS.Window": "hls.window",
		"rtpm": "rtmp", "stroage": "storage", "storage.path": "", "foo": "", "": "", "rtmp.": "", "http.port": "",
		"flv.max_message": "", "rtmpaddr": "rtmp.addr", strings.Repeat("rtmp.addr", 1000): "",
	} {
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		if got := suggest(written, keysLike(written)); got != want {
			t.Errorf("for %.40q: %q, want %q", written, got, want)
		}
	}
	if got := SuggestFlag("htp.addr"); got != " (did you mean --http.addr?)" {
		t.Errorf("for a flag: %q", got)
	}
}
