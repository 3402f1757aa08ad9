package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// pollInterval is how often the recorder asks for the playlist: far more often
// than segments appear, so that none slides out unseen.
const pollInterval = 100 * time.Millisecond

// segment is one recorded media segment.
type segment struct {
	sequence      int
	uri           string
	duration      time.Duration // EXTINF
	discontinuity bool
	date          *time.Time // EXT-X-PROGRAM-DATE-TIME
	data          []byte
	listed        time.Time // when the recorder saw it in the playlist
}

// hlsRecording is everything a player that never misses a segment has seen.
type hlsRecording struct {
	segments []segment
	variants []*playlist.MultivariantVariant
	last     *playlist.Media  // the newest media playlist
	text     string           // the same as it was served
	ended    bool             // the playlist has EXT-X-ENDLIST
	faults   []string         // rules of RFC 8216 that were broken on the way
	history  hlscheck.History // the same for the referee
}

// hlsRecorder records one stream.
type hlsRecorder struct {
	ctx   context.Context
	media *url.URL // the media playlist's address
	rec   hlsRecording
}

// recordHLS plays the stream at playlistURL from its first segment on, until
// EXT-X-ENDLIST or until ctx ends. It may be called before the stream exists.
func recordHLS(ctx context.Context, playlistURL string) (hlsRecording, error) {
	r := hlsRecorder{ctx: ctx}
	if err := r.open(playlistURL); err != nil {
		return r.rec, err
	}
	for !r.rec.ended {
		if err := r.poll(); err != nil {
			return r.rec, err
		}
		if err := r.pause(); err != nil {
			return r.rec, err
		}
	}
	return r.rec, nil
}

// errRecordingCut says that the recording's context ended before the stream did.
var errRecordingCut = errors.New("the recording was ended before the stream")

func (r *hlsRecorder) pause() error {
	select {
	case <-r.ctx.Done():
		return errRecordingCut
	case <-time.After(pollInterval):
		return nil
	}
}

func (r *hlsRecorder) fault(format string, args ...any) {
	r.rec.faults = append(r.rec.faults, fmt.Sprintf(format, args...))
}

// open waits for the multivariant playlist and takes its first variant. A media
// playlist in its place is taken as it is.
func (r *hlsRecorder) open(playlistURL string) error {
	base, err := url.Parse(playlistURL)
	if err != nil {
		return err
	}
	for {
		list, _, err := r.playlist(playlistURL)
		if err != nil {
			return err
		}
		switch list := list.(type) {
		case *playlist.Media:
			r.media = base
			return nil
		case *playlist.Multivariant:
			r.rec.variants = list.Variants
			if r.media, err = base.Parse(list.Variants[0].URI); err != nil {
				return fmt.Errorf("variant's address: %w", err)
			}
			return nil
		}
		if err := r.pause(); err != nil {
			return err
		}
	}
}

// playlist fetches a playlist; it is nil where the server says 404.
func (r *hlsRecorder) playlist(address string) (playlist.Playlist, []byte, error) {
	f, err := fetch(r.ctx, address)
	switch {
	case r.ctx.Err() != nil:
		return nil, nil, errRecordingCut
	case err != nil:
		return nil, nil, fmt.Errorf("fetch playlist: %w", err)
	}
	for _, fault := range f.faults("application/vnd.apple.mpegurl") {
		r.fault("playlist: %s", fault)
	}
	switch f.status {
	case http.StatusNotFound:
		return nil, nil, nil
	case http.StatusOK:
	default:
		return nil, nil, fmt.Errorf("playlist: status %d", f.status)
	}
	list, err := playlist.Unmarshal(f.body)
	if err != nil {
		return nil, nil, fmt.Errorf("parse playlist: %w\n%s", err, f.body)
	}
	r.keep(list, address, f)
	return list, f.body, nil
}

// keep keeps a version of a playlist for the referee.
func (r *hlsRecorder) keep(list playlist.Playlist, address string, f fetched) {
	versions := &r.rec.history.Media
	if _, ok := list.(*playlist.Multivariant); ok {
		versions = &r.rec.history.Multivariant
	}
	now := time.Now()
	if n := len(*versions); n > 0 && bytes.Equal((*versions)[n-1].Body, f.body) {
		(*versions)[n-1].LastSeen = now
		return
	}
	*versions = append(*versions, hlscheck.Version{URL: address, At: now, LastSeen: now, Header: f.header, Body: f.body})
	if media, ok := list.(*playlist.Media); ok && media.Endlist {
		r.rec.history.Marks = append(r.rec.history.Marks, hlscheck.Mark{Event: hlscheck.StreamEnded, At: now})
	}
}

// judge has the referee find what is wrong with the recording. Rules to ignore are those that the
// test itself breaks.
func (rec hlsRecording) judge(ignore ...string) []string {
	var faults []string
	for _, finding := range hlscheck.CheckSegments(rec.history, hlscheck.Options{Slack: busySlack, Ignore: ignore}).Must() {
		faults = append(faults, finding.String())
	}
	return faults
}

// poll reads the media playlist once and fetches what is new in it.
func (r *hlsRecorder) poll() error {
	list, text, err := r.playlist(r.media.String())
	if err != nil {
		return err
	}
	media, ok := list.(*playlist.Media)
	if !ok {
		return fmt.Errorf("the media playlist at %s is gone or none: %T", r.media, list)
	}
	if bytes.Equal(text, []byte(r.rec.text)) {
		return nil
	}
	now := time.Now()
	r.compare(media)
	for i, s := range media.Segments {
		sequence := media.MediaSequence + i
		if n := len(r.rec.segments); n > 0 && sequence <= r.rec.segments[n-1].sequence {
			r.recheck(sequence, s)
			continue
		}
		if err := r.take(sequence, s, media, now); err != nil {
			return err
		}
	}
	r.rec.last, r.rec.text, r.rec.ended = media, string(text), media.Endlist
	return nil
}

// compare checks what may not change from one playlist to the next.
func (r *hlsRecorder) compare(media *playlist.Media) {
	if media.PlaylistType != nil {
		r.fault("a live playlist has EXT-X-PLAYLIST-TYPE")
	}
	for i, s := range media.Segments {
		if (i == 0 || s.Discontinuity) && s.DateTime == nil {
			r.fault("segment %d: no EXT-X-PROGRAM-DATE-TIME where the window starts or the stream breaks", media.MediaSequence+i)
		}
	}
	old := r.rec.last
	if old == nil {
		return
	}
	if media.TargetDuration != old.TargetDuration {
		r.fault("TARGETDURATION changed from %d to %d", old.TargetDuration, media.TargetDuration)
	}
	if media.MediaSequence < old.MediaSequence {
		r.fault("MEDIA-SEQUENCE went back from %d to %d", old.MediaSequence, media.MediaSequence)
	}
	if discontinuitySequence(media) < discontinuitySequence(old) {
		r.fault("DISCONTINUITY-SEQUENCE went back from %d to %d", discontinuitySequence(old), discontinuitySequence(media))
	}
	if last := old.MediaSequence + len(old.Segments); media.MediaSequence > last {
		r.fault("segments %d to %d were never seen: the window moved past them", last, media.MediaSequence-1)
	}
	if end := media.MediaSequence + len(media.Segments); end < old.MediaSequence+len(old.Segments) {
		r.fault("segments were removed from the playlist's tail: it ends at %d now", end-1)
	}
	if old.Endlist {
		r.fault("the playlist changed after EXT-X-ENDLIST")
	}
}

func discontinuitySequence(m *playlist.Media) int {
	if m.DiscontinuitySequence == nil {
		return 0
	}
	return *m.DiscontinuitySequence
}

// recheck compares a segment's entry with what it was before.
func (r *hlsRecorder) recheck(sequence int, s *playlist.MediaSegment) {
	at := sequence - r.rec.segments[0].sequence
	if at < 0 {
		r.fault("segment %d appeared before the first one", sequence)
		return
	}
	was := r.rec.segments[at]
	if was.uri != s.URI || was.duration != s.Duration || was.discontinuity != s.Discontinuity {
		r.fault("segment %d changed from %s (%v) to %s (%v)", sequence, was.uri, was.duration, s.URI, s.Duration)
	}
}

// take fetches a new segment.
func (r *hlsRecorder) take(sequence int, s *playlist.MediaSegment, list *playlist.Media, now time.Time) error {
	address, err := r.media.Parse(s.URI)
	if err != nil {
		return fmt.Errorf("segment's address: %w", err)
	}
	f, err := fetch(r.ctx, address.String())
	switch {
	case r.ctx.Err() != nil:
		return errRecordingCut
	case err != nil:
		return fmt.Errorf("fetch segment %d: %w", sequence, err)
	case f.status != http.StatusOK:
		return fmt.Errorf("listed segment %d (%s): status %d", sequence, s.URI, f.status)
	}
	for _, fault := range f.faults("video/mp2t") {
		r.fault("segment %d: %s", sequence, fault)
	}
	if int(math.Round(s.Duration.Seconds())) > list.TargetDuration {
		r.fault("segment %d: EXTINF %v exceeds TARGETDURATION %d", sequence, s.Duration, list.TargetDuration)
	}
	for _, old := range r.rec.segments {
		if old.uri == s.URI {
			r.fault("segment %d has the URI of segment %d", sequence, old.sequence)
		}
	}
	if r.rec.history.Segments == nil {
		r.rec.history.Segments = map[string][]byte{}
	}
	r.rec.history.Segments[address.String()] = f.body
	r.rec.segments = append(r.rec.segments, segment{
		sequence: sequence, uri: s.URI, duration: s.Duration,
		discontinuity: s.Discontinuity, date: s.DateTime, data: f.body, listed: now,
	})
	return nil
}

// parts joins the segments into transport streams, one for each run of segments
// without a discontinuity: a decoder starts afresh after one.
func (rec hlsRecording) parts() [][]byte {
	var parts [][]byte
	for i, s := range rec.segments {
		if i == 0 || s.discontinuity {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], s.data...)
	}
	return parts
}
