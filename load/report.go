package load

import (
	"slices"
	"time"
)

// Report is what a load has measured. Rates and costs are of the measured part; errors, reconnects and
// numbers of clients of the whole run.
type Report struct {
	// Seconds were measured. Interrupted: it was to be longer.
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted,omitempty"`

	Server     *ServerReport   `json:"server,omitempty"` // nil: not known which process it is
	Client     *ClientReport   `json:"client,omitempty"` // nil: the system does not tell
	Publishers PublisherReport `json:"publishers"`
	Viewers    []ViewerReport  `json:"viewers"`
}

// ServerReport is what a server process and its children cost.
type ServerReport struct {
	PID        int     `json:"pid"`
	CPUSeconds float64 `json:"cpu_s"`
	CPUPercent float64 `json:"cpu_percent"` // of one core
	// PerGB is CPU seconds for each 10^9 bytes that viewers received, and PerViewer microseconds of CPU for each
	// second that a viewer watched. 0 if nobody did.
	PerGB     float64 `json:"cpu_s_per_gb"`
	PerViewer float64 `json:"cpu_us_per_viewer_s"`

	RSS int64 `json:"rss_bytes"` // the most that was seen
	PSS int64 `json:"pss_bytes"` // at the end; 0 if unknown
	// RSSBefore is what it was with all publishers, before the first viewer, and RSSPerViewer what each viewer
	// added to it. Memory that the kernel keeps for sockets is in none of these.
	RSSBefore    int64 `json:"rss_before_viewers_bytes"`
	RSSPerViewer int64 `json:"rss_per_viewer_bytes"`
}

// ClientReport is what the load itself cost: on one machine it is taken from the server.
type ClientReport struct {
	CPUSeconds float64 `json:"cpu_s"`
	CPUPercent float64 `json:"cpu_percent"`
	RSS        int64   `json:"rss_bytes"`
}

// PublisherReport is what publishers did.
type PublisherReport struct {
	Count      int     `json:"count"`
	Accepted   int64   `json:"accepted"` // ever
	Connected  int64   `json:"connected"`
	Bytes      int64   `json:"bytes"`
	BitsPerSec float64 `json:"bits_per_s"`
	Frames     int64   `json:"frames"` // of video, that carry a stamp
	// Late is how long after its time a message was sent. What is more than a few milliseconds says that this
	// machine is too busy for its figures to mean much.
	Late       Delays           `json:"late"`
	Reconnects int64            `json:"reconnects"`
	Errors     map[string]int64 `json:"errors,omitempty"`
}

// ViewerReport is what the viewers of one protocol saw.
type ViewerReport struct {
	Protocol   Protocol `json:"protocol"`
	Count      int      `json:"count"`
	Joined     int64    `json:"joined"` // ever
	Connected  int64    `json:"connected"`
	Bytes      int64    `json:"bytes"`
	Received   int64    `json:"received_bytes"` // of the whole run
	BitsPerSec float64  `json:"bits_per_s"`
	// Each viewer's bytes. One that lost frames has less than the others, also if it is not looked into.
	LeastBytes  int64 `json:"least_bytes_of_a_viewer"`
	MedianBytes int64 `json:"median_bytes_of_a_viewer"`
	MostBytes   int64 `json:"most_bytes_of_a_viewer"`

	// LookedInto is how many viewers the next lines are about.
	LookedInto int   `json:"looked_into"`
	Frames     int64 `json:"frames"`
	Lost       int64 `json:"lost_frames"`
	Repeated   int64 `json:"repeated_frames"`
	// Delay is from sending a frame to having received it, for HLS to having received the segment that it is
	// the last frame of.
	Delay Delays `json:"delay"`

	// Of all viewers again.
	Stalls       int64            `json:"stalls"`
	StallSeconds float64          `json:"stall_s"`
	Segments     int64            `json:"segments,omitempty"`
	Skipped      int64            `json:"skipped_segments,omitempty"`
	Reconnects   int64            `json:"reconnects"`
	Errors       map[string]int64 `json:"errors,omitempty"`
}

// Bytes is what all viewers received.
func (r *Report) Bytes() int64 {
	var n int64
	for _, v := range r.Viewers {
		n += v.Bytes
	}
	return n
}

// Lost is how many frames the viewers that were looked into lost, and how many they should have received.
func (r *Report) Lost() (lost, of int64) {
	for _, v := range r.Viewers {
		lost += v.Lost
		of += v.Lost + v.Frames
	}
	return lost, of
}

// mark is a moment from which counters are counted.
type mark struct {
	at        time.Time
	server    Usage
	client    Usage
	published int64
	bytes     []int64 // of each group
	viewers   []int64 // of each viewer, in the order of the groups
}

func (r *run) mark() mark {
	m := mark{at: time.Now(), server: r.server, published: r.publishers.bytes.Load()}
	m.client = r.client
	for _, g := range r.groups {
		m.bytes = append(m.bytes, g.meter.bytes.Load())
		for _, v := range g.viewers {
			m.viewers = append(m.viewers, v.received.Load())
		}
	}
	return m
}

// report says what happened between two marks.
func (r *run) report(from, to mark) *Report {
	seconds := to.at.Sub(from.at).Seconds()
	p := r.publishers
	report := &Report{
		Seconds: seconds,
		Publishers: PublisherReport{
			Count: r.config.Publishers, Accepted: p.accepted.Load(), Connected: p.connected.Load(),
			Bytes: to.published - from.published, BitsPerSec: rate(to.published-from.published, seconds),
			Frames: p.frames.Load(), Late: p.late.delays(), Reconnects: p.reconnects.Load(), Errors: p.errors.snapshot(),
		},
		Viewers: []ViewerReport{},
	}
	first, watching := 0, int64(0)
	for i, g := range r.groups {
		v := g.report(to.bytes[i]-from.bytes[i], seconds)
		each := make([]int64, len(g.viewers))
		for j := range each {
			each[j] = to.viewers[first+j] - from.viewers[first+j]
		}
		first += len(each)
		slices.Sort(each)
		v.LeastBytes, v.MedianBytes, v.MostBytes = each[0], each[len(each)/2], each[len(each)-1]
		watching += v.Connected
		report.Viewers = append(report.Viewers, v)
	}
	r.reportUsage(report, from, to, watching)
	return report
}

func (r *run) reportUsage(report *Report, from, to mark, watching int64) {
	if r.client != (Usage{}) {
		cpu := (to.client.CPU - from.client.CPU).Seconds()
		report.Client = &ClientReport{CPUSeconds: cpu, CPUPercent: percent(cpu, report.Seconds), RSS: r.client.RSS}
	}
	if r.config.PID == 0 || r.server == (Usage{}) {
		return
	}
	cpu := (to.server.CPU - from.server.CPU).Seconds()
	s := &ServerReport{
		PID: r.config.PID, CPUSeconds: cpu, CPUPercent: percent(cpu, report.Seconds),
		RSS: r.mostRSS, PSS: r.server.PSS, RSSBefore: r.before.RSS,
	}
	if bytes := report.Bytes(); bytes > 0 {
		s.PerGB = cpu / (float64(bytes) / 1e9)
	}
	if watching > 0 && report.Seconds > 0 {
		s.PerViewer = cpu * 1e6 / report.Seconds / float64(watching)
		s.RSSPerViewer = max(r.mostRSS-r.before.RSS, 0) / watching
	}
	report.Server = s
}

func (g *group) report(bytes int64, seconds float64) ViewerReport {
	m := &g.meter
	looked := 0
	for _, v := range g.viewers {
		if v.looks {
			looked++
		}
	}
	return ViewerReport{
		Protocol: g.protocol, Count: len(g.viewers), Joined: m.joined.Load(), Connected: m.connected.Load(),
		Bytes: bytes, Received: m.bytes.Load(), BitsPerSec: rate(bytes, seconds),
		LookedInto: looked, Frames: m.frames.Load(), Lost: m.lost.Load(), Repeated: m.repeated.Load(), Delay: m.delay.delays(),
		Stalls: m.stalls.Load(), StallSeconds: time.Duration(m.stalled.Load()).Seconds(),
		Segments: m.segments.Load(), Skipped: m.skipped.Load(), Reconnects: m.reconnects.Load(), Errors: m.errors.snapshot(),
	}
}

func rate(bytes int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(bytes) * 8 / seconds
}

func percent(cpu, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return cpu / seconds * 100
}
