package hlscheck

import (
	"net/http"
	"net/url"
	"time"
)

// Version is one state of a playlist.
type Version struct {
	URL      string      // of the playlist, absolute or at least rooted
	At       time.Time   // when it was first seen
	LastSeen time.Time   // when it was last seen; zero means At (then nothing is ever late)
	Header   http.Header // of the first answer; nil leaves the header rules out
	Body     []byte
}

// seenUntil returns the last time at which the version is known to have been served.
func (v Version) seenUntil() time.Time {
	if v.LastSeen.IsZero() {
		return v.At
	}
	return v.LastSeen
}

// Event is something that a test did to the stream and that the origin is
// entitled to show.
type Event int

const (
	// PublisherLeft begins a pause: the playlist must stay as it is.
	PublisherLeft Event = iota
	// PublisherBack ends it: a discontinuity may follow.
	PublisherBack
	// StreamEnded says that the stream was ended on purpose: ENDLIST may follow at once.
	StreamEnded
	// ServerDown begins an outage: requests may fail.
	ServerDown
	// ServerUp ends it.
	ServerUp
)

// Mark is an event and its time.
type Mark struct {
	Event Event
	At    time.Time
}

// History is what CheckSegments judges: playlist versions in the order of time,
// and the bytes of the segments they name.
type History struct {
	Multivariant []Version         // may be empty
	Media        []Version         // of one or more media playlists, told apart by URL
	Segments     map[string][]byte // by resolved URL; missing ones are not judged
	Marks        []Mark            // in the order of time
}

// CheckSegments applies every rule that needs no network to a recorded history.
// Of the options, those that concern rules count; URL and HTTPClient do not.
func CheckSegments(h History, o Options) Report {
	o = o.withDefaults()
	facts := map[string]*segmentFacts{}
	listed := map[string]time.Time{}
	for _, v := range h.Media {
		p, ok := parseMedia(v, &findings{})
		if !ok {
			continue
		}
		for _, e := range p.entries {
			if _, ok := listed[e.url]; !ok {
				listed[e.url] = v.At
			}
		}
	}
	for u, body := range h.Segments {
		facts[u] = examine(u, listed[u], body)
	}
	return judge(h, facts, nil, o)
}

// judge applies the rules to a history whose segments were examined already.
// seen holds what was found while the history was recorded.
func judge(h History, facts map[string]*segmentFacts, seen []Finding, o Options) Report {
	f := &findings{}
	f.merge(seen)
	for _, s := range facts {
		f.merge(s.found.list)
	}
	var report Report
	media := renditions(h.Media, f)
	variants := multivariants(h.Multivariant, f)
	pauses := pausesOf(h.Marks)
	for _, r := range media {
		checkSequences(r, pauses, f)
		checkEntries(r, f)
		checkTiming(r, pauses, o, f, &report.Measured)
		checkEnd(r, h.Marks, o, f)
		checkWindow(r, f)
		checkDates(r, f)
		checkHeaders(r, f)
		chain := chainOf(r, facts)
		checkChain(chain, f, &report.Measured)
		checkBreaks(chain, h.Marks, f)
		report.append(r, chain)
		report.Measured.PeakBandwidth = max(report.Measured.PeakBandwidth, peakBitrate(chainUntil(chain, r.last().seenUntil()), r.last().playlist.target))
		report.Measured.AverageBandwidth = max(report.Measured.AverageBandwidth, averageBitrate(chain))
	}
	checkReuse(media, f)
	checkVariants(variants, media, facts, f)
	checkIndependence(variants, media, facts, f)
	checkAudioOverhead(facts, f, &report.Measured)
	report.Findings = f.sorted(o.Ignore)
	return report
}

// append lists the segments of a playlist and what they hold.
func (r *Report) append(media *rendition, chain []link) {
	for _, l := range chain {
		s := Segment{
			Playlist: media.url, URL: l.url, Sequence: l.sequence, Duration: l.duration,
			Discontinuity: l.discontinuity, Listed: l.at, FirstDTS: noTime,
		}
		if l.facts != nil {
			s.Size, s.FirstDTS, s.Independent = l.facts.size, l.facts.first(), l.facts.independent()
			for _, u := range l.facts.units {
				u.Sequence = l.sequence
				r.AccessUnits = append(r.AccessUnits, u)
			}
		}
		r.Segments = append(r.Segments, s)
	}
}

// rendition is the history of one media playlist.
type rendition struct {
	url      string
	versions []mediaVersion
	listed   map[int64]listing // every segment ever listed, by sequence number
}

// mediaVersion is a version that could be read.
type mediaVersion struct {
	Version
	playlist mediaPlaylist
}

// listing is a segment and the time it was first seen.
type listing struct {
	entry
	at time.Time
}

// last returns the newest version.
func (r *rendition) last() mediaVersion { return r.versions[len(r.versions)-1] }

// renditions sorts versions by playlist, in the order in which the playlists appeared.
func renditions(versions []Version, f *findings) []*rendition {
	var list []*rendition
	byURL := map[string]*rendition{}
	for _, v := range versions {
		p, ok := parseMedia(v, f)
		if !ok {
			continue
		}
		secondOpinion(v, p, f)
		r := byURL[v.URL]
		if r == nil {
			r = &rendition{url: v.URL, listed: map[int64]listing{}}
			byURL[v.URL] = r
			list = append(list, r)
		}
		r.versions = append(r.versions, mediaVersion{v, p})
		for _, e := range p.entries {
			if _, ok := r.listed[e.sequence]; !ok {
				r.listed[e.sequence] = listing{e, v.At}
			}
		}
	}
	return list
}

// resolve returns the URI of a playlist line as an absolute URL.
func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	r, err := b.Parse(ref)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}
