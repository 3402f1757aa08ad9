package e2e

import (
	"crypto/md5"
	"encoding/hex"
	"os"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// picture makes a frame of NAL units. Delimiters and parameter sets do not
// count, as in normalForm.
func picture(pts, dts time.Duration, units [][]byte) frame {
	sum := md5.New()
	f := frame{pts: pts, dts: dts}
	for _, u := range units {
		switch h264.NALUType(u[0] & 0x1f) {
		case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeSPS, h264.NALUTypePPS:
			continue
		case h264.NALUTypeIDR:
			f.key = true
		}
		sum.Write(u)
	}
	f.hash = hex.EncodeToString(sum.Sum(nil))
	return f
}

// sound makes a frame of a raw AAC frame.
func sound(at time.Duration, data []byte) frame {
	sum := md5.Sum(data)
	return frame{pts: at, dts: at, key: true, hash: hex.EncodeToString(sum[:])}
}

// flvUnits reads an FLV file's frames as picture and sound make them, to be
// compared with what a library hands out as access units rather than as a file.
func flvUnits(path string) (media, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return media{}, err
	}
	tags, _, err := parseFLV(file)
	if err != nil {
		return media{}, err
	}
	var m media
	for _, tag := range tags {
		at := milli(tag.time)
		switch {
		case tag.kind == tagAudio && tag.config():
			var config mpeg4audio.AudioSpecificConfig
			if err := config.Unmarshal(tag.body[2:]); err != nil {
				return media{}, err
			}
			m.audioRate = config.SampleRate
		case tag.kind == tagAudio && tag.coded():
			m.audio = append(m.audio, sound(at, tag.body[2:]))
		case tag.kind == tagVideo && tag.coded():
			var units h264.AVCC
			if err := units.Unmarshal(tag.body[5:]); err != nil {
				return media{}, err
			}
			m.video = append(m.video, picture(at+tag.composition(), at, units))
		}
	}
	return m, nil
}
