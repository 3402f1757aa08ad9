package m3u8

import (
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

var date = time.Date(2026, 11, 21, 8, 0, 0, 500_000_000, time.UTC)

func media() *Media {
	return &Media{
		TargetDuration:        2,
		MediaSequence:         41,
		DiscontinuitySequence: 3,
		IndependentSegments:   true,
		Segments: []Segment{
			{URI: "41.ts", Duration: 2002 * time.Millisecond, ProgramDateTime: date},
			{URI: "42.ts", Duration: 1998 * time.Millisecond, Discontinuity: true},
		},
	}
}

func TestMediaPlaylistIsSpelledAsTheRFCSays(t *testing.T) {
	want := `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:41
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:00.500Z
#EXTINF:2.002,
41.ts
#EXT-X-DISCONTINUITY
#EXTINF:1.998,
42.ts
`
	if got := string(media().Append(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	ended := media()
	ended.Ended, ended.IndependentSegments = true, false
	got := string(ended.Append(nil))
	if !strings.HasSuffix(got, "\n#EXT-X-ENDLIST\n") || strings.Contains(got, "INDEPENDENT") {
		t.Errorf("an ended, dependent playlist:\n%s", got)
	}
}

func TestAnIndependentParserReadsTheMediaPlaylist(t *testing.T) {
	p, err := playlist.Unmarshal(media().Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	m, ok := p.(*playlist.Media)
	if !ok || m.MediaSequence != 41 || m.TargetDuration != 2 || len(m.Segments) != 2 {
		t.Fatalf("%+v", p)
	}
	if s := m.Segments[0]; s.Duration.Round(time.Microsecond) != 2002*time.Millisecond || !s.DateTime.Equal(date) || s.URI != "41.ts" {
		t.Errorf("%+v", s)
	}
	if !m.Segments[1].Discontinuity || m.Segments[0].Discontinuity {
		t.Error("discontinuity at the wrong segment")
	}
}

func TestAnIndependentParserReadsTheMultivariantPlaylist(t *testing.T) {
	v := Variant{URI: "0a/media.m3u8", Bandwidth: 2_800_000, AverageBandwidth: 2_600_000,
		Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 29.97}
	p, err := playlist.Unmarshal(v.AppendMultivariant(nil))
	if err != nil {
		t.Fatal(err)
	}
	m, ok := p.(*playlist.Multivariant)
	if !ok || len(m.Variants) != 1 {
		t.Fatalf("%+v", p)
	}
	got := m.Variants[0]
	if got.Bandwidth != 2_800_000 || *got.AverageBandwidth != 2_600_000 || got.Resolution != "1280x720" ||
		*got.FrameRate != 29.97 || strings.Join(got.Codecs, ",") != v.Codecs || got.URI != v.URI {
		t.Errorf("%+v", got)
	}
}
