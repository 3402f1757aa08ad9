package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"
)

const (
	// startBehind is how many segments from the end a player begins, and how many it wants to have before it
	// shows a picture: no closer to the end than three target durations (RFC 8216, section 6.3.3).
	startBehind = 3
	// notYet is how long a player goes on asking for a playlist that does not exist, at its beginning: a
	// stream has none before its first segment is complete.
	notYet      = 20 * time.Second
	notYetPause = 500 * time.Millisecond
	// leastPause bounds how often a playlist can make a player ask for it.
	leastPause = 50 * time.Millisecond
	// maxSkipped is how many segments a player may miss: a day's, which no run lasts.
	maxSkipped = 100_000
	// hlsTimeout is how long a playlist or a segment may take.
	hlsTimeout = 30 * time.Second
)

// hlsPlayer is a player as RFC 8216 section 6.3 describes it: it reads the multivariant playlist once, the
// media playlist again and again, and each segment once.
type hlsPlayer struct {
	viewer  *viewer
	http    *http.Client
	play    playback
	buf     []byte
	header  string // URI of the media initialization section that was read last
	next    int64  // media sequence number of the segment to read
	started bool
	read    int // segments
}

func (v *viewer) watchHLS(ctx context.Context) error {
	transport := &http.Transport{
		DialContext:     v.dialHLS,
		TLSClientConfig: v.group.network.tls,
	}
	defer transport.CloseIdleConnections()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	h := &hlsPlayer{
		viewer: v,
		http:   &http.Client{Transport: transport, Jar: jar, Timeout: hlsTimeout},
		play:   playback{meter: &v.group.meter},
	}
	v.track.since = time.Now()
	media, err := h.open(ctx)
	if err != nil {
		return err
	}
	v.enter()
	defer v.leave()
	return h.run(ctx, media)
}

// open finds the media playlist.
func (h *hlsPlayer) open(ctx context.Context) (string, error) {
	began := time.Now()
	for {
		list, at, err := h.playlist(ctx, h.viewer.url)
		if err == nil && list.variant != "" {
			next, perr := at.Parse(list.variant)
			if perr != nil {
				return "", malformedError("a playlist has a URI that is none")
			}
			return next.String(), nil
		}
		if err == nil {
			return h.viewer.url, nil
		}
		if _, missing := err.(statusError); !missing || time.Since(began) > notYet {
			return "", err
		}
		if err := sleep(ctx, notYetPause); err != nil {
			return "", err
		}
	}
}

// run plays until something fails or the playlist ends.
func (h *hlsPlayer) run(ctx context.Context, media string) error {
	for {
		asked := time.Now()
		list, at, err := h.playlist(ctx, media)
		if err != nil {
			return err
		}
		fresh, err := h.segments(ctx, list, at)
		if err != nil {
			return err
		}
		if list.ended {
			return errEnded
		}
		// Section 6.3.4: a target duration after a playlist that has changed, half of it after another.
		pause := time.Duration(list.target * float64(time.Second))
		if !fresh {
			pause /= 2
		}
		if err := sleep(ctx, time.Until(asked.Add(max(pause, leastPause)))); err != nil {
			return err
		}
		h.play.advance(time.Now())
	}
}

// segments reads the segments that are new, and says whether there were any.
func (h *hlsPlayer) segments(ctx context.Context, list *playlist, at *url.URL) (fresh bool, err error) {
	if list.variant != "" {
		return false, malformedError("a media playlist is a multivariant one")
	}
	end := list.sequence + int64(len(list.segments))
	if !h.started {
		h.next = max(list.sequence, end-startBehind)
	}
	if h.next-end > startBehind { // a little is a cache that is behind
		return false, malformedError("the media sequence number went back")
	}
	if list.sequence-h.next > maxSkipped {
		return false, malformedError("the media sequence number jumped")
	}
	if h.next < list.sequence {
		h.viewer.group.meter.skip(list.sequence - h.next)
		h.next = list.sequence
	}
	for ; h.next < end; h.next++ {
		s := list.segments[h.next-list.sequence]
		if s.header != h.header {
			if err := h.segment(ctx, at, s.header, false); err != nil {
				return fresh, err
			}
			h.header = s.header
		}
		if err := h.segment(ctx, at, s.uri, s.header == ""); err != nil {
			return fresh, err
		}
		h.viewer.group.meter.segment()
		h.play.add(time.Duration(s.duration*float64(time.Second)), time.Now())
		h.read++
		fresh = true
	}
	h.started = h.started || fresh
	if h.read >= startBehind {
		h.play.begin(time.Now())
	}
	return fresh, nil
}

// playlist reads a playlist, and says where it was found.
func (h *hlsPlayer) playlist(ctx context.Context, from string) (*playlist, *url.URL, error) {
	answer, err := h.get(ctx, from, "")
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(smallReads{answer.Body}, maxPlaylist+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read playlist: %w", err)
	}
	if len(body) > maxPlaylist {
		return nil, nil, malformedError("a playlist does not end")
	}
	list, err := parsePlaylist(body)
	return list, answer.Request.URL, err
}

// segment reads a segment to its end. One that is a transport stream may be looked into.
func (h *hlsPlayer) segment(ctx context.Context, at *url.URL, uri string, ts bool) error {
	u, err := at.Parse(uri)
	if err != nil {
		return malformedError("a playlist has a URI that is none")
	}
	answer, err := h.get(ctx, u.String(), "identity")
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if h.buf == nil {
		h.buf = make([]byte, segmentBuffer)
	}
	var look *tsParser
	if ts && h.viewer.looks {
		look = newTSParser(&h.viewer.track)
	}
	for {
		n, err := answer.Body.Read(h.buf)
		if look != nil && n > 0 {
			if err := look.parse(h.buf[:n], time.Now()); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
	}
	if look != nil {
		look.finish()
		h.viewer.track.segment(time.Now())
	}
	return nil
}

func (h *hlsPlayer) get(ctx context.Context, from, encoding string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	if encoding != "" {
		request.Header.Set("Accept-Encoding", encoding)
	}
	answer, err := h.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, statusError(answer.StatusCode)
	}
	return answer, nil
}
