package web

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

func files(t *testing.T) *Files {
	t.Helper()
	f, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPagesRunNothingInline(t *testing.T) {
	f := files(t)
	for page, serve := range map[string]func(*httptest.ResponseRecorder){
		consolePage: func(w *httptest.ResponseRecorder) {
			f.ServeConsole(w, httptest.NewRequest("GET", "/", nil))
		},
		watchPage: func(w *httptest.ResponseRecorder) { f.ServeWatch(w, httptest.NewRequest("GET", "/live/test", nil)) },
	} {
		w := httptest.NewRecorder()
		serve(w)
		body := w.Body.String()
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || w.Code != 200 {
			t.Errorf("%s: %d, %s", page, w.Code, csp)
		}
		if !strings.Contains(csp, "connect-src 'self';") {
			t.Errorf("%s may not load its media, or more than that: %s", page, csp)
		}
		if regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:>|[^>]*>[^<])|https?://`).MatchString(body) {
			t.Errorf("%s has something inline, or from elsewhere", page)
		}
		// What it loads is there.
		for _, match := range regexp.MustCompile(`(?:src|href)="(?:/\.web/)?([a-z/]+\.[a-z]+)"`).FindAllStringSubmatch(body, -1) {
			if f.byName[match[1]] == nil {
				t.Errorf("%s loads %s, which is not there", page, match[1])
			}
		}
	}
}

func TestOurScriptsMakeNoHTMLOfNames(t *testing.T) {
	checked := 0
	for name, file := range files(t).byName {
		if path.Ext(name) != ".js" || path.Dir(name) != "." { // those of others are not ours to judge
			continue
		}
		checked++
		script := string(file.body)
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			if strings.Contains(script, bad) {
				t.Errorf("%s uses %s", name, bad)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d scripts were looked at", checked)
	}
}

// TestThePlayersAreThoseThatTheLockFileNames compares what is embedded with the licence notes' versions.
func TestThePlayersAreThoseThatTheLockFileNames(t *testing.T) {
	text, err := os.ReadFile("../e2e/browser/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	f := files(t)
	for _, name := range []string{"hls.js", "mpegts.js"} {
		version := lock.Packages["node_modules/"+name].Version
		if !strings.Contains(string(f.byName["players/LICENSES.md"].body), "## "+name+" "+version+"\n") ||
			!strings.Contains(string(f.byName["players/"+name].body), `"`+version+`"`) {
			t.Errorf("%s is not %s: run web/update.sh", name, version)
		}
	}
}

func TestFilesComeCompressedAndOnlyWhenTheyChanged(t *testing.T) {
	f := files(t)
	r := httptest.NewRequest("GET", "/.web/players/hls.js", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	f.ServeFile(w, r, "players/hls.js")
	packed, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(packed)
	if err != nil || string(body) != string(f.byName["players/hls.js"].body) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	r.Header.Set("If-None-Match", w.Header().Get("Etag"))
	w = httptest.NewRecorder()
	if f.ServeFile(w, r, "players/hls.js"); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
	}
	for _, name := range []string{"", "players", "../web.go", "nothing.js"} {
		w := httptest.NewRecorder()
		if f.ServeFile(w, r, name); w.Code != 404 {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
}
