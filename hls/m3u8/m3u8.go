// Package m3u8 writes HLS playlists: the media playlist of a live stream and the
// multivariant playlist that names it.
//
// It only writes. What stands in a playlist is decided by package hls; here is how
// it is spelled. Sources: RFC 8216 sections 4.3 and 4.4, and rfc8216bis.
package m3u8

import (
	"math"
	"strconv"
	"time"
)

// ContentType is the media type of a playlist (RFC 8216, section 4).
const ContentType = "application/vnd.apple.mpegurl"

// version is EXT-X-VERSION: 3 for decimal EXTINF would do, 6 is what players and
// validators expect beside EXT-X-INDEPENDENT-SEGMENTS.
const version = "#EXTM3U\n#EXT-X-VERSION:6\n"

// dateFormat is ISO 8601 with milliseconds, as EXT-X-PROGRAM-DATE-TIME wants it.
const dateFormat = "2006-01-02T15:04:05.000Z07:00"

// Segment is one entry of a media playlist.
type Segment struct {
	URI string
	// Duration is rounded to 1 ms.
	Duration time.Duration
	// ProgramDateTime is left out if it is zero.
	ProgramDateTime time.Time
	// Discontinuity: EXT-X-DISCONTINUITY stands before the segment.
	Discontinuity bool
}

// Media is a media playlist.
type Media struct {
	// TargetDuration is in seconds.
	TargetDuration        int
	MediaSequence         uint64
	DiscontinuitySequence uint64
	IndependentSegments   bool
	Segments              []Segment
	// Ended: EXT-X-ENDLIST closes the playlist.
	Ended bool
}

// Append appends the playlist to dst.
func (m *Media) Append(dst []byte) []byte {
	dst = append(dst, version...)
	dst = append(dst, "#EXT-X-TARGETDURATION:"...)
	dst = strconv.AppendInt(dst, int64(m.TargetDuration), 10)
	dst = append(dst, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	dst = strconv.AppendUint(dst, m.MediaSequence, 10)
	dst = append(dst, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	dst = strconv.AppendUint(dst, m.DiscontinuitySequence, 10)
	dst = append(dst, '\n')
	if m.IndependentSegments {
		dst = append(dst, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	for i := range m.Segments {
		dst = m.Segments[i].append(dst)
	}
	if m.Ended {
		dst = append(dst, "#EXT-X-ENDLIST\n"...)
	}
	return dst
}

func (s *Segment) append(dst []byte) []byte {
	if s.Discontinuity {
		dst = append(dst, "#EXT-X-DISCONTINUITY\n"...)
	}
	if !s.ProgramDateTime.IsZero() {
		dst = append(dst, "#EXT-X-PROGRAM-DATE-TIME:"...)
		dst = s.ProgramDateTime.UTC().AppendFormat(dst, dateFormat)
		dst = append(dst, '\n')
	}
	dst = append(dst, "#EXTINF:"...)
	dst = strconv.AppendFloat(dst, s.Duration.Seconds(), 'f', 3, 64)
	dst = append(dst, ",\n"...)
	dst = append(dst, s.URI...)
	return append(dst, '\n')
}

// Variant is the one entry of a multivariant playlist.
type Variant struct {
	URI string
	// Bandwidth and AverageBandwidth are in bits per second.
	Bandwidth, AverageBandwidth uint64
	// Codecs is a list as in RFC 6381, separated by commas.
	Codecs string
	// Width and Height are left out if they are 0, FrameRate likewise.
	Width, Height int
	FrameRate     float64
}

// AppendMultivariant appends a multivariant playlist of one variant to dst.
func (v *Variant) AppendMultivariant(dst []byte) []byte {
	dst = append(dst, version...)
	dst = append(dst, "#EXT-X-STREAM-INF:BANDWIDTH="...)
	dst = strconv.AppendUint(dst, v.Bandwidth, 10)
	if v.AverageBandwidth > 0 {
		dst = append(dst, ",AVERAGE-BANDWIDTH="...)
		dst = strconv.AppendUint(dst, v.AverageBandwidth, 10)
	}
	if v.Codecs != "" {
		dst = append(dst, `,CODECS="`...)
		dst = append(dst, v.Codecs...)
		dst = append(dst, '"')
	}
	if v.Width > 0 && v.Height > 0 {
		dst = append(dst, ",RESOLUTION="...)
		dst = strconv.AppendInt(dst, int64(v.Width), 10)
		dst = append(dst, 'x')
		dst = strconv.AppendInt(dst, int64(v.Height), 10)
	}
	if v.FrameRate > 0 && !math.IsInf(v.FrameRate, 0) {
		dst = append(dst, ",FRAME-RATE="...)
		dst = strconv.AppendFloat(dst, v.FrameRate, 'f', 3, 64)
	}
	dst = append(dst, '\n')
	dst = append(dst, v.URI...)
	return append(dst, '\n')
}
