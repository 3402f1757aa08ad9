package hlscheck

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Severity tells a defect from a shortcoming.
type Severity int

const (
	// Must marks a broken promise: a specification's MUST, or one of the
	// behaviours listed in the package comment.
	Must Severity = iota
	// Should marks something legal that an origin ought to do better.
	Should
)

func (s Severity) String() string {
	if s == Must {
		return "MUST"
	}
	return "SHOULD"
}

// Finding is one rule broken at one place.
type Finding struct {
	Rule     string    // stable id, for example "media-sequence-decreased"
	Severity Severity  // Must or Should
	Row      int       // numbered behaviour of the package comment, 1 to 20
	Spec     string    // section that rules, for example "RFC 8216 6.2.2"
	Where    string    // URL of the playlist or segment
	At       time.Time // when it was seen first
	Message  string    // what was expected and what was found
	Count    int       // how often the rule was broken at this place
}

// String returns the finding as one line.
func (f Finding) String() string {
	times := ""
	if f.Count > 1 {
		times = fmt.Sprintf(" (%d times)", f.Count)
	}
	return fmt.Sprintf("%s %s [row %d, %s] %s at %s: %s%s", f.Severity, f.Rule, f.Row, f.Spec,
		f.Where, f.At.Format("15:04:05.000"), f.Message, times)
}

// findings collects what was found, one entry per rule and place, so that a rule
// that every packet of a segment breaks is one line with a count.
type findings struct {
	list  []Finding
	index map[[2]string]int
}

// add notes that the rule was broken. The first message of a rule and place is
// kept: it is the cause more often than those after it.
func (f *findings) add(id, where string, at time.Time, format string, args ...any) {
	key := [2]string{id, where}
	if i, ok := f.index[key]; ok {
		f.list[i].Count++
		return
	}
	r, ok := catalogue[id]
	if !ok {
		panic("hlscheck: no rule " + id)
	}
	if f.index == nil {
		f.index = map[[2]string]int{}
	}
	f.index[key] = len(f.list)
	f.list = append(f.list, Finding{
		Rule: id, Severity: r.severity, Row: r.row, Spec: r.spec,
		Where: where, At: at, Message: fmt.Sprintf(format, args...), Count: 1,
	})
}

// merge adds the findings of another collection.
func (f *findings) merge(other []Finding) {
	for _, o := range other {
		f.add(o.Rule, o.Where, o.At, "%s", o.Message)
		f.list[f.index[[2]string{o.Rule, o.Where}]].Count += o.Count - 1
	}
}

// sorted returns a copy in the order of time, without the rules to ignore.
func (f *findings) sorted(ignore []string) []Finding {
	list := slices.DeleteFunc(slices.Clone(f.list), func(x Finding) bool {
		return slices.Contains(ignore, x.Rule)
	})
	sort.SliceStable(list, func(i, j int) bool { return list[i].At.Before(list[j].At) })
	return list
}

// Report is the verdict on a history.
type Report struct {
	Findings    []Finding    // in the order of time
	Segments    []Segment    // every segment listed, playlist by playlist, in order
	AccessUnits []AccessUnit // everything the fetched segments carry, in that order
	Measured    Measured     // figures, whether or not a rule was broken
}

// Segment is one listed segment as the checker saw it.
type Segment struct {
	Playlist      string        // URL of its media playlist
	URL           string        // its own URL
	Sequence      int64         // media sequence number
	Duration      time.Duration // EXTINF
	Discontinuity bool          // EXT-X-DISCONTINUITY stands before it
	Listed        time.Time     // when it was first seen in the playlist
	Size          int           // bytes; 0 if it was never fetched
	FirstDTS      int64         // 90 kHz, modulo 2^33, of the track that rules the timing; -1 if unknown
	Independent   bool          // it starts with an IDR, or has no video
}

// Measured holds figures of a history.
type Measured struct {
	PeakBandwidth    float64       // bit/s, as RFC 8216 defines the peak segment bit rate
	AverageBandwidth float64       // bit/s over all segments fetched
	MaxListingGap    time.Duration // longest time between two appended segments, pauses excluded
	MaxPCRGap        time.Duration // longest distance of two PCRs
	AudioOverhead    float64       // bytes beside ADTS frames, relative to them, in audio-only segments
	Versions         int           // media playlist versions seen
	SlowestPlaylist  time.Duration // longest time from a request for a playlist to the end of its answer
}

// Must returns the findings of severity Must.
func (r Report) Must() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Severity != Must })
}

// Rules returns the ids of the rules broken, sorted, each once.
func (r Report) Rules() []string {
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.Rule)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// String returns the findings, one a line, and the figures.
func (r Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(f.String() + "\n")
	}
	m := r.Measured
	fmt.Fprintf(&b, "%d findings; %d segments, %d access units, %d playlist versions; peak %.0f bit/s, average %.0f bit/s; "+
		"longest listing gap %v, slowest playlist %v, longest PCR gap %v, audio overhead %.1f%%\n",
		len(r.Findings), len(r.Segments), len(r.AccessUnits), m.Versions, m.PeakBandwidth, m.AverageBandwidth,
		m.MaxListingGap.Round(time.Millisecond), m.SlowestPlaylist.Round(time.Microsecond), m.MaxPCRGap.Round(time.Microsecond), 100*m.AudioOverhead)
	return b.String()
}
