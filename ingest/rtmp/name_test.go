package rtmp

import (
	"strings"
	"testing"
)

func TestRedactLeavesNoSecret(t *testing.T) {
	for in, want := range map[string]string{
		"test":                                  "test",
		"test?token=secret":                     "test?",
		"live/test?a=secret?b=secret":           "live/test?",
		"rtmp://h/live":                         "rtmp://h/live",
		"rtmp://h:1935/live/?k=secret":          "rtmp://h:1935/live/?",
		"rtmp://user:secret@h/live/test":        "rtmp://h/live/test",
		"rtmp://user:sec@ret@h/live":            "rtmp://h/live",
		"rtmp://user:secret@h":                  "rtmp://h",
		"rtmp://h/":                             "rtmp://h/",
		"rtmp://user:secret@h?token=secret://x": "rtmp://h?",
		"":                                      "",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := redactText("stream test?token=secret is in use at rtmp://u:secret@h/live"); strings.Contains(got, "secret") || !strings.Contains(got, "in use") {
		t.Errorf("shown as %q", got)
	}
}

func TestRTMPURLs(t *testing.T) {
	for in, want := range map[string]target{
		"rtmp://h/live/test":              {false, "h", "h:1935", "live", "test", "rtmp://h/live"},
		"rtmp://h:1936/live/test?token=a": {false, "h", "h:1936", "live", "test?token=a", "rtmp://h:1936/live"},
		"rtmps://h/a/b/c?x=1&y=2":         {true, "h", "h:443", "a/b", "c?x=1&y=2", "rtmps://h/a/b"},
		"rtmp://[::1]:1/live/te%20st":     {false, "::1", "[::1]:1", "live", "te%20st", "rtmp://[::1]:1/live"},
		"rtmp://user:secret@h/live/test":  {false, "h", "h:1935", "live", "test", "rtmp://h/live"},
		"rtmp://h/live/test/":             {false, "h", "h:1935", "live", "test", "rtmp://h/live"},
	} {
		if got, err := parseURL(in); got != want || err != nil {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "h/live/test", "http://h/live/test", "rtmp://h/live", "rtmp://h", "rtmp:///live/test", "rtmp://h:x/live/secret", "rtmp://h/\x7f/secret"} {
		if got, err := parseURL(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}
