package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// sceneRatio is of how many pictures VLC keeps one: that makes one for each second.
const sceneRatio = 25

// vlcLive has VLC play some seconds against the clock, and keep every so many decoded pictures.
func vlcLive(ctx context.Context, t *testing.T, url string) {
	needTool(t, "vlc")
	// Not t.TempDir: VLC runs as another user, who must get there.
	dir, err := os.MkdirTemp("", "headwater-vlc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name, args := unprivileged(t, dir, "vlc", "-I", "dummy", "--no-color", "--vout=dummy", "--aout=dummy",
		"--video-filter=scene", "--scene-format=png", "--scene-ratio="+strconv.Itoa(sceneRatio), "--scene-path="+dir,
		"--run-time="+strconv.Itoa(playSeconds), "--play-and-exit", url, "vlc://quit")
	cmd := command(ctx, t, name, args...)
	cmd.Dir = dir
	o := run(cmd)
	if o.err != nil {
		t.Fatalf("VLC: %v\n%s%s", o.err, o.stdout, tail(o.stderr, 2000))
	}
	kept, err := filepath.Glob(filepath.Join(dir, "scene*.png"))
	if err != nil {
		t.Fatal(err)
	}
	// The time runs from the start, of which opening takes some.
	if len(kept) < playSeconds-2 {
		t.Errorf("VLC decoded about %d pictures in %d s\n%s", len(kept)*sceneRatio, playSeconds, tail(o.stderr, 2000))
	}
}

// unprivileged returns a command that runs as nobody where the tests run as root, which VLC
// refuses to be. The folder becomes its home.
func unprivileged(t *testing.T, home, name string, args ...string) (string, []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return name, args
	}
	const nobody = 65534
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(nobody)
	return "setpriv", append([]string{"--reuid=" + id, "--regid=" + id, "--clear-groups",
		"env", "HOME=" + home, fmt.Sprintf("XDG_RUNTIME_DIR=%s", home), name}, args...)
}
