package e2e

import (
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryTargetOfAReleaseBuilds compiles, without optimising, for the targets of a release that this machine is none of. Of
// two architectures with the same files of ours one is enough, but on Linux, where their system calls differ.
func TestEveryTargetOfAReleaseBuilds(t *testing.T) {
	ctx := limit(t, 10*time.Minute)
	list := regexp.MustCompile(`TARGETS:-([^}]+)\}`).FindStringSubmatch(readFile(t, "../scripts/dist.sh"))
	if list == nil {
		t.Fatal("scripts/dist.sh names no targets")
	}
	run := func(target string, args ...string) string {
		system, architecture, _ := strings.Cut(target, "/")
		cmd := command(ctx, t, "go", args...)
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+architecture, "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: go %s: %v\n%s", target, args[0], err, tail(string(out), 4<<10))
		}
		return string(out)
	}
	systems := map[string]bool{}
	files := func(target string) string {
		own := run(target, "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}} {{$.GoFiles}} {{$.SFiles}}{{end}}{{end}}", "../cmd/headwater")
		if strings.HasPrefix(target, "linux/") {
			own = target + own
		}
		return own
	}
	here := runtime.GOOS + "/" + runtime.GOARCH
	built := map[string]string{files(here): here} // it was compiled for all other tests
	for target := range strings.FieldsSeq(list[1]) {
		system, _, _ := strings.Cut(target, "/")
		systems[system] = true
		made := files(target)
		if built[made] == "" {
			run(target, "build", "-gcflags=all=-N -l", "-o", os.DevNull, "../cmd/headwater")
			built[made] = target
		}
	}
	if !systems["linux"] || !systems["darwin"] || !systems["windows"] {
		t.Errorf("a release is made for %s", list[1])
	}
	t.Logf("built for %v", slices.Sorted(maps.Values(built)))
}
