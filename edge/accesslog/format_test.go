package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// sample is an entry with everything in it.
func sample() Entry {
	return Entry{
		Time:   time.Date(2026, 1, 2, 15, 4, 5, 678_000_000, time.FixedZone("", 3600)),
		Client: netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711"), Forwarded: "198.51.100.3",
		Method: "GET", Path: "/t/eyJhbGciOi.very.secret/live/test.flv", RawQuery: "audio=0&token=hush&deadbeef", Proto: "HTTP/1.1",
		Referer: "https://user:pass@example.com/page?token=hush#hush", UserAgent: `Agent "007" \o/`,
		RequestID: "abc-1", Stream: "live/test", Protocol: "flv",
		Status: 200, Bytes: 1234, FirstByte: 1500 * time.Microsecond, Duration: 12345 * time.Millisecond,
	}
}

func TestLinesSayWhatHappened(t *testing.T) {
	e := sample()
	want := `{"time":"2026-01-02T14:04:05.678Z","client":"192.0.2.7","forwarded_for":"198.51.100.3","method":"GET",` +
		`"path":"/t/-/live/test.flv","query":"audio=0&token=-&-","proto":"HTTP/1.1","status":200,"bytes":1234,"ttfb":0.002,` +
		`"duration":12.345,"referer":"https://example.com/page","user_agent":"Agent \"007\" \\o/","request_id":"abc-1",` +
		`"stream":"live/test","protocol":"flv"}` + "\n"
	if got := string(JSON(nil, &e)); got != want {
		t.Errorf("json:\n%s\nwant\n%s", got, want)
	}
	want = `192.0.2.7 - - [02/Jan/2026:14:04:05 +0000] "GET /t/-/live/test.flv?audio=0&token=-&- HTTP/1.1" 200 1234 ` +
		`"https://example.com/page" "Agent \"007\" \\o/" "198.51.100.3" abc-1 live/test flv 0.002 12.345` + "\n"
	if got := string(Combined(nil, &e)); got != want {
		t.Errorf("combined:\n%s\nwant\n%s", got, want)
	}
	want = `- - - [01/Jan/0001:00:00:00 +0000] "  " 0 0 "-" "-" "-" - - - 0.000 0.000` + "\n"
	if got := string(Combined(nil, &Entry{})); got != want {
		t.Errorf("an empty entry:\n%s\nwant\n%s", got, want)
	}
}

func TestAddressesLoseTheirTokens(t *testing.T) {
	long := strings.Repeat("x", 129)
	for path, want := range map[string]string{
		"/live/test/index.m3u8": "/live/test/index.m3u8", "/live/test.flv": "/live/test.flv", "": "",
		"/t/SECRET/live/test.flv": "/t/-/live/test.flv", "//t//SECRET/live": "//t//-/live", "/T/SECRET": "/T/-",
		"/cdn/t/SECRET/live/test.flv": "/cdn/t/-/live/test.flv", "/live/" + long: "/live/-", "/test/me": "/test/me", "/t/t/t": "/t/-/t",
	} {
		if got := Path(path); got != want {
			t.Errorf("path %q: %q, want %q", path, got, want)
		}
	}
	for query, want := range map[string]string{
		"": "", "audio=0": "audio=0", "audio=SECRET": "audio=-", "video=1&token=SECRET": "video=1&token=-", "SECRET": "-",
		"5ecret=1": "-", "averylongnameindeed=1": "-", "=": "-", "&&": "-&-",
		strings.Repeat("a=1&", 40): strings.Repeat("a=-&", 16) + "...",
	} {
		if got := Query(query); got != want {
			t.Errorf("query %q: %q, want %q", query, got, want)
		}
	}
	for referer, want := range map[string]string{
		"": "", "http://example.com": "http://example.com", "http://example.com/t/SECRET/live/test?token=SECRET": "http://example.com/t/-/live/test",
		"javascript:SECRET": "", "/SECRET": "", "http://%zz": "", "http://user:SECRET@example.com/": "http://example.com/",
	} {
		if got := Referer(referer); got != want {
			t.Errorf("referer %q: %q, want %q", referer, got, want)
		}
	}
}

// FuzzLines has whatever clients send rendered: it must stay one line that means one entry.
func FuzzLines(f *testing.F) {
	e := sample()
	f.Add(e.Path, e.RawQuery, e.Referer, e.UserAgent, e.Forwarded)
	f.Add("/live/\x00\x1b[2J\u2028\u0085\xff", "a\nb=1", "http://a/\"", "\\\"\r\n", "\x7f")
	f.Add(strings.Repeat("/é", 300), "", "", strings.Repeat("€", 100), "")
	f.Fuzz(func(t *testing.T, path, query, referer, agent, forwarded string) {
		e := Entry{Method: "GET", Path: path, RawQuery: query, Proto: "HTTP/1.1", Referer: referer, UserAgent: agent, Forwarded: forwarded, Status: 200}
		line := JSON(nil, &e)
		var read map[string]any
		if err := json.Unmarshal(line, &read); err != nil || len(read) != 16 || read["status"] != 200.0 {
			t.Errorf("%v: %d keys in %s", err, len(read), line)
		}
		for _, line := range [][]byte{line, Combined(nil, &e)} {
			if i := bytes.IndexFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' }); i != len(line)-1 {
				t.Errorf("a control character at %d of %d: %q", i, len(line), line)
			}
			if len(line) > 16<<10 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}
