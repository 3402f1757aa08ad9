package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// frame is one coded frame as ffprobe and ffmpeg see it.
type frame struct {
	pts, dts time.Duration
	key      bool
	hash     string // of the payload in normal form, see normalForm
}

// media is what a file holds: the frames of each track in coded order.
type media struct {
	video, audio []frame
	audioRate    int // Hz
}

// normalForm is, per container, the bitstream filters after which equal frames
// have equal bytes: Annex B without parameter sets (types 7, 8) and delimiters
// (type 9) for H.264, raw data blocks for AAC.
var normalForm = map[string]struct{ video, audio string }{
	".flv": {"h264_mp4toannexb,filter_units=remove_types=7-9", "null"},
	".ts":  {"filter_units=remove_types=7-9", "aac_adtstoasc"},
}

// readMedia reads every frame of an FLV or MPEG-TS file.
func readMedia(ctx context.Context, path string) (media, error) {
	m, err := readTimes(ctx, path)
	if err != nil {
		return media{}, err
	}
	form, ok := normalForm[filepath.Ext(path)]
	if !ok {
		return media{}, fmt.Errorf("no normal form for %s", filepath.Base(path))
	}
	if err := readHashes(ctx, path, "v", form.video, m.video); err != nil {
		return media{}, err
	}
	if err := readHashes(ctx, path, "a", form.audio, m.audio); err != nil {
		return media{}, err
	}
	return m, nil
}

// readTimes has ffprobe list the packets with their times.
func readTimes(ctx context.Context, path string) (media, error) {
	o, err := analyse(ctx, "ffprobe", "-v", "error", "-of", "json", "-show_entries",
		"packet=codec_type,pts_time,dts_time,flags:packet_side_data=:stream=codec_type,sample_rate", path)
	if err != nil {
		return media{}, err
	}
	var probed struct {
		Packets []struct {
			Type  string `json:"codec_type"`
			PTS   string `json:"pts_time"`
			DTS   string `json:"dts_time"`
			Flags string `json:"flags"`
		} `json:"packets"`
		Streams []struct {
			Type       string `json:"codec_type"`
			SampleRate string `json:"sample_rate"`
		} `json:"streams"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &probed); err != nil {
		return media{}, fmt.Errorf("read ffprobe's answer: %w", err)
	}
	var m media
	for _, s := range probed.Streams {
		if s.Type != "audio" {
			continue
		}
		if m.audioRate, err = strconv.Atoi(s.SampleRate); err != nil {
			return media{}, fmt.Errorf("read ffprobe's sample rate: %w", err)
		}
	}
	for i, p := range probed.Packets {
		pts, err := seconds(p.PTS)
		if err != nil {
			return media{}, fmt.Errorf("%s packet %d: pts: %w", p.Type, i, err)
		}
		dts, err := seconds(p.DTS)
		if err != nil {
			return media{}, fmt.Errorf("%s packet %d: dts: %w", p.Type, i, err)
		}
		f := frame{pts: pts, dts: dts, key: strings.HasPrefix(p.Flags, "K")}
		switch p.Type {
		case "video":
			m.video = append(m.video, f)
		case "audio":
			m.audio = append(m.audio, f)
		}
	}
	return m, nil
}

// seconds parses a decimal number of seconds with six places.
func seconds(s string) (time.Duration, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(math.Round(v*1e6)) * time.Microsecond, nil
}

// readHashes has ffmpeg copy one track through a filter and hash each frame.
// The lists of ffprobe and ffmpeg must have the same length.
func readHashes(ctx context.Context, path, track, filter string, frames []frame) error {
	if len(frames) == 0 {
		return nil
	}
	o, err := analyse(ctx, "ffmpeg", "-v", "error", "-copyts", "-i", path, "-map", "0:"+track, "-c", "copy", "-copyinkf",
		"-bsf:"+track, filter, "-f", "framemd5", "-")
	if err != nil {
		return err
	}
	i := 0
	for line := range strings.Lines(o.stdout) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ",")
		const hashField = 5 // stream, dts, pts, duration, size, hash
		if len(fields) <= hashField {
			return fmt.Errorf("hash %s: unexpected line %q", track, line)
		}
		if i < len(frames) {
			frames[i].hash = strings.TrimSpace(fields[hashField])
		}
		i++
	}
	if i != len(frames) {
		return fmt.Errorf("ffprobe sees %d frames of track %s in %s, ffmpeg %d", len(frames), track, filepath.Base(path), i)
	}
	return nil
}

// decodes has ffmpeg decode every frame of a file and returns its complaints.
func decodes(ctx context.Context, path string) error {
	o, err := analyse(ctx, "ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", path,
		"-fps_mode", "passthrough", "-f", "null", "-")
	if err != nil {
		return err
	}
	return o.clean()
}
