package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// vlcLive has VLC decode until it has some seconds of pictures, however long that takes, and looks which they are: each has
// to be the next one of the stream. VLC writes them to a file. On a screen it would leave out what a busy machine makes late.
func vlcLive(ctx context.Context, t *testing.T, url string) {
	needTool(t, "vlc")
	// Not t.TempDir: VLC runs as another user, who must get there.
	dir, err := os.MkdirTemp("", "headwater-vlc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "decoded.ts")
	name, args := unprivileged(t, dir, "vlc", "-I", "dummy", "--no-color",
		"--sout=#transcode{vcodec=mp2v,vb=4000,scale=0.5,acodec=none}:std{access=file,mux=ts,dst="+file+"}", "--play-and-exit", url, "vlc://quit")
	playing, enough := context.WithCancel(ctx)
	defer enough()
	cmd := command(playing, t, name, args...)
	cmd.Dir = dir
	ended := make(chan output, 1)
	go func() { ended <- run(cmd) }()
	eventually(ctx, t, "wait for VLC", func() error {
		select {
		case o := <-ended:
			t.Fatalf("VLC has ended: %v\n%s%s", o.err, o.stdout, tail(o.stderr, 2000))
		default:
		}
		if info, err := os.Stat(file); err != nil || info.Size() < decodedBytes {
			return errors.Join(err, errors.New("it has not decoded enough"))
		}
		return nil
	})
	enough()
	o := <-ended
	ctx = limit(t, 3*time.Minute)
	const wanted = playSeconds * 25
	decoded, _ := greyPictures(ctx, file) // it may be cut off
	all, err := greyPictures(ctx, browserFixture.make(t).path)
	if err != nil || len(decoded) < wanted {
		t.Fatalf("VLC decoded %d pictures: %v", len(decoded), err)
	}
	first := mostAlike(decoded[0], all)
	for i, picture := range decoded[:wanted] {
		at := first + i
		from := min(max(0, at-reach), len(all)-1)
		if which := from + mostAlike(picture, all[from:min(at+reach, len(all))]); which != at {
			t.Fatalf("of the %d pictures from the %dth on, VLC decoded the %dth in the place of the %dth\n%s", wanted, first, which, at, tail(o.stderr, 2000))
		}
	}
}

const (
	// decodedBytes is more than VLC writes for playSeconds of pictures.
	decodedBytes = playSeconds * 25 * 25 << 10
	// pictureWidth and pictureHeight are those of pictures that are compared.
	pictureWidth, pictureHeight = 160, 90
	// reach is how far around its place a picture is looked for.
	reach = 5
)

// greyPictures returns those of a video, small and grey.
func greyPictures(ctx context.Context, file string) ([][]byte, error) {
	o, err := analyse(ctx, "ffmpeg", "-v", "error", "-nostdin", "-i", file, "-an", "-fps_mode", "passthrough",
		"-vf", fmt.Sprintf("scale=%d:%d:flags=area,format=gray", pictureWidth, pictureHeight), "-f", "rawvideo", "-")
	return slices.Collect(slices.Chunk([]byte(o.stdout), pictureWidth*pictureHeight)), err
}

// mostAlike returns which of some pictures differs least from one.
func mostAlike(picture []byte, of [][]byte) int {
	differences := make([]int, len(of))
	for i, other := range of {
		for at := range picture {
			d := int(picture[at]) - int(other[at])
			differences[i] += max(d, -d)
		}
	}
	return slices.Index(differences, slices.Min(differences))
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
