package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/headwater-live/headwater"

// rooms is the import table: what each package may import besides the standard library. A name without a host
// is a package of this module, and one that ends in "/..." stands for itself and all beneath it.
//
// Data moves left to right and imports point at remux: outputs never import ingest, ingest never imports an
// output, and only cmd/headwater sees everything. A new package needs a row before it gets a file.
var rooms = map[string][]string{
	"cmd/headwater": {
		"admin", "auth", "cmd/headwater/config", "cmd/headwater/systemd", "crowd", "edge", "edge/accesslog", "events", "flv", "hls", "hooks", "ingest", "ingest/rtmp", "live", "load",
		"remux/...", "storage", "ts", "web",
		"github.com/spf13/cobra", "github.com/spf13/cobra/doc", "github.com/spf13/pflag", "github.com/fsnotify/fsnotify",
	},
	"cmd/headwater/config":  {"auth", "github.com/spf13/pflag", "github.com/spf13/viper", "go.yaml.in/yaml/v3"},
	"cmd/headwater/systemd": {},

	"crowd": {},

	"ingest":      {"crowd", "ingest/rtmp", "remux/...", "golang.org/x/time/rate"},
	"ingest/rtmp": {},

	"remux":           {"remux/..."},
	"remux/bytelog":   {"remux", "remux/flvtag", "remux/histogram"},
	"remux/flvtag":    {},
	"remux/histogram": {},
	"remux/h264":      {"github.com/bluenviron/mediacommon/v2/pkg/codecs/..."},
	"remux/h265":      {"remux/h264", "github.com/bluenviron/mediacommon/v2/pkg/codecs/..."},
	"remux/aac":       {"github.com/bluenviron/mediacommon/v2/pkg/codecs/..."},
	"remux/mpegts":    {},

	"hls":      {"hls/m3u8", "remux/..."},
	"hls/m3u8": {},
	"flv":      {"live", "remux/..."},
	"ts":       {"live", "remux/..."},

	"live":           {"live/websocket", "remux/..."},
	"live/websocket": {},

	"load": {"ingest/rtmp", "remux/flvtag", "remux/h264", "golang.org/x/sys/unix"},

	"scripts/measure":     {"load"},
	"scripts/plot-growth": {"load"},

	"auth":    {"github.com/golang-jwt/jwt/v5"},
	"storage": {},
	"edge":    {"crowd", "edge/accesslog", "remux", "requestid", "golang.org/x/time/rate"},
	"events":  {},
	"hooks":   {"events"},
	"web":     {},

	"edge/accesslog": {},
	"requestid":      {},

	"admin": {"events", "remux", "requestid", "remux/histogram", "github.com/prometheus/client_golang/...", "github.com/coder/websocket"},
}

// testOnly are packages that only tests import. They may import what they like, and no room may import them.
var testOnly = []string{"e2e/...", "storage/storagetest"}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func TestPackagesImportWhatTheirRoomMay(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range list(t, "std") {
		standard[p.ImportPath] = true
	}
	seen := map[string]bool{}
	for _, p := range list(t, module+"/...") {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		if matchesAny(room, testOnly) {
			continue
		}
		seen[room] = true
		allowed, ok := rooms[room]
		if !ok {
			t.Errorf("%s has no row in the import table: say there what it is allowed to see, and in docs/ARCHITECTURE.md what it is for", room)
			continue
		}
		for _, path := range p.Imports {
			name := strings.TrimPrefix(path, module+"/")
			if !standard[path] && path != "C" && !matchesAny(name, allowed) {
				t.Errorf("%s imports %s, which its room may not", room, name)
			}
		}
	}
	for room := range rooms {
		if !seen[room] {
			t.Errorf("the import table has a row for %s, which does not exist", room)
		}
	}
}

func TestTheImportTableTellsRoomsApart(t *testing.T) {
	for _, test := range []struct {
		room, imports string
		may           bool
	}{
		{"hls", "remux", true}, {"hls", "remux/mpegts", true}, {"hls", "ingest", false}, {"hls", "storage", false}, {"hls", "flv", false},
		{"flv", "ingest/rtmp", false}, {"ingest", "hls", false}, {"ingest", "flv", false}, {"ingest", "remux", true},
		{"remux", "ingest", false}, {"remux", "hls", false}, {"remux", "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264", false},
		{"remux/h264", "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264", true}, {"remux/mpegts", "remux/h264", false},
		{"ingest/rtmp", "github.com/yutopp/go-rtmp", false}, {"admin", "github.com/prometheus/client_golang/prometheus", true},
		{"edge", "remuxer", false}, {"storage", "storage/storagetest", false},
	} {
		if got := matchesAny(test.imports, rooms[test.room]); got != test.may {
			t.Errorf("%s may import %s: %t, want %t", test.room, test.imports, got, test.may)
		}
	}
}

func matchesAny(name string, patterns []string) bool {
	for _, p := range patterns {
		tree, whole := strings.CutSuffix(p, "/...")
		if name == tree || whole && strings.HasPrefix(name, tree+"/") {
			return true
		}
	}
	return false
}

// list asks the go command about packages. Test files are not part of the answer.
func list(t *testing.T, pattern string) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", pattern)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", pattern, err, stderr.String())
	}
	var packages []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("go list %s: %v", pattern, err)
		}
		packages = append(packages, p)
	}
}
