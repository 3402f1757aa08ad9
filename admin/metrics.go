package admin

import (
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/histogram"
)

// maxScrapes is how many scrapes are answered at once. Prometheus makes one; the rest is a
// mistake that must not cost more than it.
const maxScrapes = 3

// metricsHandler answers in the text format of Prometheus. All metrics come from one registry of
// its own, and from snapshots that are taken when it is asked: nothing is counted twice.
func metricsHandler(config *Config) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{config: config},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(config.Logger.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	})
}

// metric describes a metric whose labels are constants of the program, so that a peer cannot
// make series.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("headwater_"+name, help, labels, nil)
}

// The metrics.
var (
	buildInfo = metric("build_info", "1, labelled with the version.", "version", "go_version")

	streamsDesc = metric("streams", "Streams that exist, by state.", "state")
	begun       = metric("publications_begun_total", "Publications that began.")
	ended       = metric("publications_ended_total", "Publications that ended, by reason.", "reason")
	bitrate     = metric("ingest_bytes_per_second", "What all publications bring over the last seconds.")
	gaps        = metric("ingest_gaps_total", "Silences of publishers that viewers may have noticed.")
	ingestBytes = metric("ingest_bytes_total", "Bytes of media messages from publishers.")
	messages    = metric("ingest_messages_total", "Media messages from publishers.")
	frames      = metric("ingest_frames_total", "Frames from publishers, by track.", "track")
	keyframes   = metric("ingest_keyframes_total", "Keyframes from publishers.")
	repairs     = metric("timestamp_repairs_total", "Timestamps of publishers that were repaired, by kind.", "kind")
	dropped     = metric("ingest_dropped_total", "Messages and frames of publishers that were not passed on, by reason.", "reason")
	refusals    = metric("refusals_total", "Connections and requests that were refused or broken off, by reason.", "reason")
	skipped     = metric("rtmp_skipped_total", "Messages of RTMP peers that were skipped, wholly or in part, without ending their connections, by reason.", "reason")

	stale = metric("files_stale", "1 if files of keys or certificates could not be read again after a change, so that what they said before holds still; by what they are for.", "files")

	certificateEnd = metric("tls_certificate_expiry_timestamp_seconds", "When the certificate that a listener shows ends, in seconds since 1970, by listener.", "listener")

	findingsActive = metric("findings_active", "Findings of publications in progress, by code.", "code")
	findingsRaised = metric("findings_raised_total", "Findings that were raised, by code.", "code")

	viewersDesc = metric("viewers", "Viewers that read a stream as it comes, by protocol.", "protocol")
	delay       = metric("fanout_delay_seconds", "Time from a packet's arrival until it was written to the viewers who had caught up, those over TLS left out, by protocol.", "protocol")
	sent        = metric("sent_bytes_total", "Bytes sent to viewers, by protocol.", "protocol")
	jumps       = metric("viewer_jumps_total", "Viewers that fell behind and continued at a keyframe, by protocol.", "protocol")
	slow        = metric("viewers_closed_slow_total", "Viewers that were closed for being too slow, by protocol and reason.", "protocol", "reason")

	publishDelay  = metric("hls_publish_delay_seconds", "Time from the last packet of an HLS segment to its listing.")
	playlistAge   = metric("hls_playlist_age_seconds", "Age of the oldest HLS playlist of a live stream; 0 without one.")
	listed        = metric("hls_segments_listed_total", "HLS segments that were listed.")
	lost          = metric("hls_segments_lost_total", "HLS segments that were given up because the storage failed and memory was full.")
	evicted       = metric("hls_segments_evicted_total", "HLS segments, no longer listed, that went before their time because of the quota.")
	storageErrors = metric("hls_storage_errors_total", "Failed writes of HLS segments, which are served from memory then.")
	storageWaits  = metric("hls_storage_timeouts_total", "Listings of HLS segments that did not wait for the storage any longer.")
	faulty        = metric("hls_faulty_channels", "HLS channels that cannot store their segments and serve from memory.")
	unread        = metric("hls_unread_segments", "HLS segments of an earlier run that could not be read, and are tried again.")
	held          = metric("hls_held_bytes", "HLS segments in memory because the storage fails.")
	stored        = metric("hls_stored_bytes", "HLS segments in the storage.")
	leftOut       = metric("hls_frames_left_out_total", "Audio frames that no HLS segment could take.")

	accessLines   = metric("access_log_lines_total", "Lines of the access log that were written.")
	accessDropped = metric("access_log_dropped_total", "Lines of the access log that were lost because the disk was full, or slow.")
	configOK      = metric("config_ok", "1 if the newest configuration that was read is in force, 0 if it has faults.")
	configReloads = metric("config_reloads_total", "Reloads of the configuration, by result.", "result")

	hookDelivered = metric("hook_delivered_total", "Events that webhooks have taken.", "endpoint")
	hookFailed    = metric("hook_failed_total", "Attempts to post events that failed.", "endpoint")
	hookDropped   = metric("hook_dropped_total", "Events that were given up or found the queue full.", "endpoint")
	hookQueued    = metric("hook_queued_events", "Events that wait for a webhook.", "endpoint")
	hookBytes     = metric("hook_queued_bytes", "Room that a webhook's queue takes on disk.", "endpoint")
)

// collector is a prometheus.Collector of everything that is not the Go runtime's.
type collector struct{ config *Config }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		buildInfo, streamsDesc, begun, ended, ingestBytes, messages, frames, keyframes, repairs, dropped, refusals, stale, certificateEnd,
		findingsActive, findingsRaised, viewersDesc, sent, jumps, slow, listed, lost, evicted, storageErrors, storageWaits,
		faulty, unread, held, stored, leftOut, bitrate, gaps, delay, publishDelay, playlistAge,
		hookDelivered, hookFailed, hookDropped, hookQueued, hookBytes, accessLines, accessDropped, configOK, configReloads,
	} {
		ch <- d
	}
	if c.config.PerStream {
		for _, d := range perStream {
			ch <- d
		}
	}
}

// samples sends samples of counters and gauges.
type samples chan<- prometheus.Metric

func (s samples) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (s samples) histogram(d *prometheus.Desc, v histogram.Snapshot, labels ...string) {
	s <- prometheus.MustNewConstHistogram(d, v.Count, v.Sum, v.Buckets, labels...)
}

func (s samples) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	out, from := samples(ch), &c.config.Sources
	out.gauge(buildInfo, 1, from.Version, runtime.Version())
	if from.Totals != nil {
		out.totals(from.Totals())
	}
	if from.Refusals != nil {
		for reason, n := range from.Refusals() {
			out.counter(refusals, n, reason)
		}
	}
	if from.Skipped != nil {
		for reason, n := range from.Skipped() {
			out.counter(skipped, n, reason)
		}
	}
	if from.Stale != nil {
		for files, is := range from.Stale() {
			out.gauge(stale, map[bool]float64{true: 1}[is], files)
		}
	}
	if from.Certificates != nil {
		for listener, end := range from.Certificates() {
			out.gauge(certificateEnd, float64(end.Unix()), listener)
		}
	}
	for _, protocol := range slices.Sorted(maps.Keys(from.Viewers)) {
		v := from.Viewers[protocol]()
		out.gauge(viewersDesc, float64(v.Viewers), protocol)
		out.counter(sent, v.BytesSent, protocol)
		out.counter(jumps, v.Jumps, protocol)
		out.counter(slow, v.Behind, protocol, "behind")
		out.counter(slow, v.Stalled, protocol, "stalled")
		if v.Delay != nil {
			out.histogram(delay, v.Delay.Snapshot(), protocol)
		}
	}
	if from.Segments != nil {
		s := from.Segments()
		out.counter(listed, s.Listed)
		out.counter(lost, s.Lost)
		out.counter(evicted, s.Evicted)
		out.counter(storageErrors, s.StorageErrors)
		out.counter(storageWaits, s.StorageTimeouts)
		out.counter(leftOut, s.FramesLeftOut)
		if s.PublishDelay != nil {
			out.histogram(publishDelay, s.PublishDelay.Snapshot())
		}
	}
	if c.config.HLS != nil {
		out.gauge(playlistAge, c.oldestPlaylist(time.Now()).Seconds())
	}
	if from.AccessLog != nil {
		counts := from.AccessLog()
		out.counter(accessLines, counts.Lines)
		out.counter(accessDropped, counts.Dropped)
	}
	if from.Hooks != nil {
		out.hooks(from.Hooks())
	}
	if from.Configuration != nil {
		out.configuration(from.Configuration())
	}
	if from.Storage != nil {
		h := from.Storage()
		out.gauge(faulty, float64(h.Faulty))
		out.gauge(unread, float64(h.Unread))
		out.gauge(held, float64(h.Held))
		out.gauge(stored, float64(h.Stored))
	}
	if c.config.PerStream {
		out.perStream(c.config.Streams.Streams(), c.config.HLS)
	}
}

// oldestPlaylist returns the age of the oldest playlist of a live stream.
func (c *collector) oldestPlaylist(now time.Time) (oldest time.Duration) {
	for _, stream := range c.config.Streams.Streams() {
		if status, ok := c.config.HLS(stream.Name()); ok && !status.Ended && stream.Live() {
			oldest = max(oldest, now.Sub(status.Updated))
		}
	}
	return oldest
}

func (s samples) configuration(c ConfigurationStatus) {
	ok := 0.0
	if c.OK {
		ok = 1
	}
	s.gauge(configOK, ok)
	s.counter(configReloads, c.Reloads, "taken")
	s.counter(configReloads, c.Refused, "refused")
}

// hooks numbers the endpoints from 1: their URLs may be secret, and two may have one host.
func (s samples) hooks(endpoints []HookStatus) {
	for i, e := range endpoints {
		number := strconv.Itoa(i + 1)
		s.counter(hookDelivered, e.Delivered, number)
		s.counter(hookFailed, e.Failed, number)
		s.counter(hookDropped, e.Dropped, number)
		s.gauge(hookQueued, float64(e.Queued), number)
		s.gauge(hookBytes, float64(e.QueuedBytes), number)
	}
}

func (s samples) totals(t remux.Totals) {
	s.gauge(streamsDesc, float64(t.Live), "live")
	s.gauge(streamsDesc, float64(t.Streams-t.Live), "idle")
	s.counter(begun, t.Begun)
	for reason, n := range t.Ended {
		s.counter(ended, n, string(reason))
	}
	c := &t.Counters
	s.gauge(bitrate, float64(t.Bitrate)/8)
	s.counter(gaps, t.Gaps)
	s.counter(ingestBytes, c.Bytes)
	s.counter(messages, c.Messages)
	s.counter(frames, c.VideoFrames, "video")
	s.counter(frames, c.AudioFrames, "audio")
	s.counter(keyframes, c.Keyframes)
	s.counter(repairs, c.Clamped, "clamped")
	s.counter(repairs, c.Realigned, "realigned")
	s.counter(repairs, c.Jumped, "jumped")
	s.counter(dropped, c.Malformed, "malformed")
	s.counter(dropped, c.Unconfigured, "without-configuration")
	s.counter(dropped, c.Undecodable, "before-keyframe")
	s.counter(dropped, c.Ignored, "ignored")
	for code, n := range t.Raised {
		s.counter(findingsRaised, n, string(code))
	}
	for code, n := range t.Active {
		s.gauge(findingsActive, float64(n), string(code))
	}
}
