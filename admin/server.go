package admin

import (
	"net/http"
	"runtime"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/histogram"
)

// Sources are where the facts about the whole server come from, so that this package need not
// know the other rooms. Funcs may be called at any time, by several goroutines; one that is nil
// has nothing to tell.
type Sources struct {
	Version string
	Started time.Time
	// Totals are the sums over all publications.
	Totals func() remux.Totals
	// Refusals counts what was refused or broken off by reason. Reasons are constants of
	// the program, never what a peer sent.
	Refusals func() map[string]uint64
	// Skipped counts what of RTMP peers was skipped without ending their connections, by reason, likewise.
	Skipped func() map[string]uint64
	// Viewers are by protocol: "flv", "rtmp".
	Viewers map[string]func() ViewerCounts
	// Segments are of the HLS output.
	Segments func() SegmentCounts
	// Storage is how the storage of the HLS output is.
	Storage func() StorageHealth
	// Stale says by what they are for whether files could not be read again after a change. The keys are constants.
	Stale func() map[string]bool
	// Certificates are the times when those of the listeners end, by listener: "https".
	Certificates func() map[string]time.Time
	// Hooks are the endpoints of webhooks.
	Hooks func() []HookStatus
	// AccessLog counts the lines of the access log; nil if there can be none.
	AccessLog func() AccessLogCounts
	// Configuration is how the newest reload of the configuration went.
	Configuration func() ConfigurationStatus
	// Limits are those in force, by the key of the setting: bytes, counts, or seconds.
	Limits map[string]float64
}

// ConfigurationStatus is how reading the configuration again went.
type ConfigurationStatus struct {
	// OK: the newest configuration that was read is in force. Read is when that was, or was tried.
	OK   bool      `json:"ok"`
	Read time.Time `json:"read"`
	// Reloads and Refused count those that were taken and those that were not.
	Reloads uint64 `json:"reloads"`
	Refused uint64 `json:"refused"`
	// Faults are why the newest was refused, and Pending the settings that the next start changes.
	Faults  []string `json:"faults,omitempty"`
	Pending []string `json:"pending,omitempty"`
}

// ViewerCounts are what happened to the viewers of a protocol.
type ViewerCounts struct {
	// Viewers are those there are now; all others only grow.
	Viewers   int64
	BytesSent uint64
	// Jumps are viewers that fell behind and continued at a keyframe, Behind those that were
	// closed for doing so again and again, Stalled those closed for taking nothing.
	Jumps, Behind, Stalled uint64
	// Delay is from a packet's arrival to its writing; nil if that is not measured.
	Delay *histogram.Histogram
}

// AccessLogCounts are the lines of the access log: those written, and those that the disk did not take in time.
type AccessLogCounts struct{ Lines, Dropped uint64 }

// HookStatus is how the deliveries to an endpoint go.
type HookStatus struct {
	// Endpoint is its scheme and host: the rest of its URL may be secret.
	Endpoint string `json:"endpoint"`
	// Queued are the events that wait, and QueuedBytes what they take on disk.
	Queued      int64 `json:"queued"`
	QueuedBytes int64 `json:"queued_bytes"`
	// Delivered and Failed count attempts; Dropped events that were given up or found no room.
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`
	Dropped   uint64 `json:"dropped"`
	// LastError says why the newest attempt failed, "" if it did not.
	LastError string `json:"last_error,omitempty"`
}

// SegmentCounts are what happened in all HLS channels.
type SegmentCounts struct {
	Listed, Lost  uint64
	Evicted       uint64 // went before their time because of the quota
	StorageErrors uint64
	// StorageTimeouts are listings that did not wait for the storage any longer.
	StorageTimeouts uint64
	FramesLeftOut   uint64
	// PublishDelay is from a segment's last packet to its listing.
	PublishDelay *histogram.Histogram
}

// StorageHealth is how the storage is, and what that costs.
type StorageHealth struct {
	OK bool `json:"ok"`
	// Reason says why not, Since when since; of the channel that has failed longest.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Faulty channels cannot store, and serve from memory.
	Faulty int `json:"faulty_channels"`
	// Unread segments of an earlier run could not be read.
	Unread int   `json:"unread_segments"`
	Held   int64 `json:"held_bytes"`   // in memory because of it
	Stored int64 `json:"stored_bytes"` // all segments in the storage
}

// serverInfo is the answer of /api/v1/server.
type serverInfo struct {
	Version   string             `json:"version"`
	GoVersion string             `json:"go_version"`
	Started   time.Time          `json:"started"`
	UptimeSec float64            `json:"uptime_seconds"`
	Streams   int                `json:"streams"`
	Live      int                `json:"live"`
	Viewers   map[string]int64   `json:"viewers"`
	Addresses addressInfo        `json:"addresses"`
	Refusals  map[string]uint64  `json:"refusals"`
	Skipped   map[string]uint64  `json:"rtmp_skipped"`
	Storage   *StorageHealth     `json:"storage,omitempty"`
	Limits    map[string]float64 `json:"limits"`
	Hooks     []HookStatus       `json:"hooks"`

	Configuration *ConfigurationStatus `json:"configuration,omitempty"`
}

func (h *handler) showServer(w http.ResponseWriter, r *http.Request) {
	s := &h.config.Sources
	info := serverInfo{
		Version:   s.Version,
		GoVersion: runtime.Version(),
		Started:   s.Started,
		UptimeSec: time.Since(s.Started).Seconds(),
		Viewers:   map[string]int64{},
		Addresses: h.config.Addresses.seenBy(r),
		Refusals:  map[string]uint64{},
		Skipped:   map[string]uint64{},
		Limits:    s.Limits,
		Hooks:     []HookStatus{},
	}
	if s.Refusals != nil {
		info.Refusals = s.Refusals()
	}
	if s.Skipped != nil {
		info.Skipped = s.Skipped()
	}
	if s.Storage != nil {
		health := s.Storage()
		info.Storage = &health
	}
	if s.Totals != nil {
		t := s.Totals()
		info.Streams, info.Live = t.Streams, t.Live
	}
	for protocol, counts := range s.Viewers {
		info.Viewers[protocol] = counts().Viewers
	}
	if s.Configuration != nil {
		status := s.Configuration()
		info.Configuration = &status
	}
	if s.Hooks != nil {
		info.Hooks = append(info.Hooks, s.Hooks()...)
	}
	respond(w, r, info)
}

// Setting is a setting in force, its value hidden if it is secret.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default"`
	// Origin says where the value came from, such as "headwater.yaml:3" or "default".
	Origin string `json:"origin"`
	Help   string `json:"help"`
	// Changes says for whom a reload changes it.
	Changes string `json:"changes"`
}

func (h *handler) showConfiguration(w http.ResponseWriter, r *http.Request) {
	settings := []Setting{}
	if h.config.Settings != nil {
		settings = h.config.Settings()
	}
	respond(w, r, struct {
		Settings []Setting `json:"settings"`
	}{settings})
}
