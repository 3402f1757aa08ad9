package edge

import (
	"strings"
	"testing"
)

func TestPathsMeanWhatTheContractSays(t *testing.T) {
	for _, test := range []struct {
		path string
		want path
	}{
		{"/live/test.m3u8", path{kind: indexByName, name: "live/test"}},
		{"/live/test/index.m3u8", path{kind: index, name: "live/test"}},
		{"/live/a.b-c_D9.flv", path{kind: flv, name: "live/a.b-c_D9"}},
		{"/live/a.ts.ts", path{kind: ts, name: "live/a.ts"}},
		{"/live/test/00ff/media.m3u8", path{kind: file, name: "live/test", incarnation: "00ff", file: "media.m3u8"}},
		{"/live/test/00ff/17.ts", path{kind: file, name: "live/test", incarnation: "00ff", file: "17.ts"}},
	} {
		got, ok := parsePath(test.path)
		if !ok || got != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", test.path, got, ok, test.want)
		}
	}
}

func TestPathsOutsideTheContractAreNotFound(t *testing.T) {
	for _, p := range []string{
		"", "/", "/live", "/live/", "/live/test", "/live/test/", "/live/test/x.m3u8", "/live//index.m3u8",
		"//live/test.m3u8", "/live/../test.m3u8", "/live/.hidden.m3u8", "/live/../../etc/passwd",
		"/live/test/../1.ts", "/live/test/00FF/1.ts", `/live/test/00ff/\`, "/live/test/00ff/..", "/live/test/00ff/", "/live/test/00ff/1.ts\x00", "/live/test/00ff/1.ts/", "/live/te st.flv",
		"/live/" + strings.Repeat("a", 129) + ".flv", "/live/test/" + strings.Repeat("0", 33) + "/1.ts",
	} {
		if got, ok := parsePath(p); ok {
			t.Errorf("%q means %+v", p, got)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, p := range []string{"/live/test.m3u8", "/live/test/index.m3u8", "/live/t.flv", "/live/t/0a/1.ts", "/a/../b.flv"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		got, ok := parsePath(p)
		if !ok {
			return
		}
		for _, part := range append(strings.Split(string(got.name), "/"), got.incarnation, got.file) {
			if strings.HasPrefix(part, ".") || strings.ContainsAny(part, "/\\\x00") {
				t.Errorf("%q lets %q through", p, part)
			}
		}
	})
}
