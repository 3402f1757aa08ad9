package rtmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a program and returns what it prints; its failure is the test's.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, log.String())
	}
	return out.String()
}

// sampleFile makes a file with two seconds of picture and sound.
func sampleFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sample.flv")
	run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25",
		"-c:a", "aac", "-f", "flv", file)
	return file
}

// packets lists type, time and checksum of a file's packets.
func packets(t *testing.T, file string) string {
	return run(t, "ffmpeg", "-v", "error", "-i", file, "-map", "0", "-c", "copy", "-f", "framehash", "-")
}

// TestFFmpegPublishesAndPlays has ffmpeg publish a file and play what came: the
// packets must be those of the file. ffmpeg uses the digest handshake and checks
// our signatures.
func TestFFmpegPublishesAndPlays(t *testing.T) {
	file := sampleFile(t)
	addr, first := listen(t, nil)
	run(t, "ffmpeg", "-v", "error", "-i", file, "-c", "copy", "-f", "flv", "rtmp://"+addr+"/live/test?token=abc")
	s := <-first
	if err := s.end(t); Reason(err) != ReasonEOF && Reason(err) != ReasonReset {
		t.Errorf("ended with %v", err)
	}
	if r := (<-s.asked).(*PublishRequest); r.App != "live" || r.Name != "test" || r.Query != "token=abc" {
		t.Errorf("request %+v", r)
	}
	var media []*Media
	unpublished := 0
	for ev := range s.events {
		switch ev := ev.(type) {
		case *Media:
			media = append(media, ev)
		case *Unpublish:
			unpublished++
		}
	}
	if unpublished != 1 {
		t.Errorf("unpublished %d times", unpublished)
	}
	if n := s.conn.chunks.chunkSize; n != DefaultChunkSize {
		t.Errorf("ffmpeg sent chunks of %d, it did not take over ours", n)
	}

	for name, write := range map[string]func(c *ServerConn, r *PlayRequest, m *Media) error{
		"message by message": func(c *ServerConn, r *PlayRequest, m *Media) error {
			return c.WriteMedia(r.StreamID, m.Type, m.Timestamp, m.Payload)
		},
		"chunked before, above 2^24": func(c *ServerConn, r *PlayRequest, m *Media) error {
			return c.WriteChunks(AppendMessage(nil, chunkStreamFor(m.Type), m.Type, r.StreamID, m.Timestamp+1<<24, c.ChunkSize(), m.Payload))
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, first := listen(t, func(c *ServerConn, ev Event) error {
				r := ev.(*PlayRequest)
				err := c.AcceptPlay(r)
				for _, m := range media {
					err = errors.Join(err, write(c, r, m))
				}
				return errors.Join(err, c.EndPlay(r.StreamID, "over"))
			})
			played := filepath.Join(t.TempDir(), "played.flv")
			run(t, "ffmpeg", "-v", "error", "-i", "rtmp://"+addr+"/live/test", "-c", "copy", "-f", "flv", played)
			<-first
			got, want := hashes(packets(t, played)), hashes(packets(t, file))
			if strings.Count(want, "\n") < 130 { // 50 pictures, 86 frames of sound
				t.Fatalf("the file has only these packets:\n%s", want)
			}
			if got != want {
				t.Errorf("played\n%s\nnot what was published\n%s", got, want)
			}
		})
	}
}

// hashes cuts the times from a list of packets: ffmpeg moves them to begin at 0.
func hashes(list string) string {
	var b strings.Builder
	for line := range strings.Lines(list) {
		if fields := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(fields) == 6 {
			fmt.Fprintln(&b, fields[0], fields[4], fields[5])
		}
	}
	return b.String()
}
