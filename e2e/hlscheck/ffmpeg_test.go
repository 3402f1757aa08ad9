package hlscheck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// folderOrigin serves a folder that ffmpeg writes, with the headers of an origin
// without fault, so that what is found is ffmpeg's.
func folderOrigin(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		body, err := os.ReadFile(filepath.Join(dir, filepath.Base(r.URL.Path)))
		if err != nil {
			w.Header().Set("Cache-Control", "public, max-age=1")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", playlistType)
		w.Header().Set("Cache-Control", "public, max-age=0")
		if strings.HasSuffix(r.URL.Path, ".ts") {
			w.Header().Set("Content-Type", segmentType)
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		w.Header().Set("Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(body)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}

// ffmpegDeviates are the rules that ffmpeg's HLS output breaks, each seen in the
// output of ffmpeg 5.1, and whether it does in every run.
var ffmpegDeviates = map[string]bool{
	"pat-not-first":             true,  // a DVB service description comes first, then PAT and PMT
	"pmt-not-second":            true,  // for the same reason
	"data-alignment":            true,  // the indicator is not set, though each PES packet is one access unit
	"variant-attribute-missing": true,  // AVERAGE-BANDWIDTH and FRAME-RATE
	"bandwidth-below-peak":      true,  // BANDWIDTH is the bit rate the encoders were told, here only the audio's
	"segment-unavailable":       false, // a removed segment is deleted one segment later, well before its retention ends
}

// A live folder written by ffmpeg: an origin that is known to work with players,
// and known to bend some rules.
func TestALiveFolderOfFFmpegShowsItsKnownDeviationsOnly(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(folderOrigin(dir))
	defer server.Close()
	c := New(Options{URL: server.URL + "/index.m3u8", Slack: 10 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	var stderr bytes.Buffer
	ffmpeg := exec.CommandContext(ctx, "ffmpeg", strings.Fields(`-nostdin -loglevel error -re -f lavfi -i testsrc2=size=320x180:rate=25
		-re -f lavfi -i sine=frequency=440:sample_rate=48000 -t 9 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -bf 2
		-c:a aac -b:a 64k -f hls -hls_time 1 -hls_list_size 5 -hls_flags delete_segments+temp_file+program_date_time+independent_segments
		-master_pl_name index.m3u8 -master_pl_publish_rate 1 -hls_segment_filename `+filepath.Join(dir, "s%05d.ts")+" "+filepath.Join(dir, "media.m3u8"))...)
	ffmpeg.Stderr = &stderr
	if err := ffmpeg.Run(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
	}
	c.Mark(StreamEnded)
	enough, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := c.WaitSegments(enough, 9); err != nil {
		t.Errorf("nine segments were written: %v\n%s", err, c.Report())
	}
	cancel()
	<-done
	report := c.Report()
	for _, f := range report.Findings {
		if _, ok := ffmpegDeviates[f.Rule]; !ok {
			t.Errorf("not known of ffmpeg: %s", f)
		}
	}
	for rule, always := range ffmpegDeviates {
		if always && !slices.Contains(report.Rules(), rule) {
			t.Errorf("%s is not reported", rule)
		}
	}
	var video int
	for _, u := range report.AccessUnits {
		if u.Kind == Video {
			video++
		}
	}
	if video != 9*25 {
		t.Errorf("%d of the 225 frames are accounted for", video)
	}
}
