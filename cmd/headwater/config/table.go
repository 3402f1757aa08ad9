package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

// setting is one row of the table.
type setting struct {
	key    string // "group.name", lower case; words within a name are joined by "_"
	def    string // the default, as one would write it in the file
	help   string // what it means, for --help and the documentation
	bind   func(*Config) value
	secret bool // never shown, never part of an error text
	// changes says what a reload does about it. A row without it changes at the next start only.
	changes Moment
}

// env is the environment variable of the setting: rtmp.addr is HEADWATER_RTMP_ADDR.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

const (
	envPrefix = "HEADWATER_"

	kib = 1 << 10
	mib = 1 << 20

	// maxMessage is what a message length of 24 bits can say.
	maxMessage = 16 * mib
	// year bounds the durations that have no other natural bound; caches treat more as a year too.
	year = 365 * 24 * time.Hour
)

// table has every setting, in the order in which they are shown.
var table = slices.Concat(listenerTable, outputTable, authTable, hookTable, serverTable)

// listenerTable has what is listened on, and what those who connect may do.
var listenerTable = []setting{
	{key: "rtmp.addr", def: ":1935", changes: atOnce, help: "RTMP listener; empty is off",
		bind: func(c *Config) value { return address(&c.RTMP.Addr) }},
	{key: "rtmp.max_message", def: "8MiB", changes: newConnections, help: "largest RTMP message taken from a peer",
		bind: func(c *Config) value { return size(&c.RTMP.MaxMessage, 64*kib, maxMessage) }},
	{key: "rtmp.max_connections", def: "10000", changes: atOnce, help: "RTMP connections at once",
		bind: func(c *Config) value { return count(&c.RTMP.MaxConnections, 1, 1_000_000) }},
	{key: "rtmp.max_connections_per_ip", def: "1000", changes: atOnce, help: "RTMP connections at once from one address; the addresses of an IPv6 /64 are one",
		bind: func(c *Config) value { return count(&c.RTMP.MaxConnectionsPerIP, 1, 1_000_000) }},
	{key: "rtmp.max_handshakes", def: "1000", changes: atOnce, help: "RTMP connections at once that have not ended their handshake",
		bind: func(c *Config) value { return count(&c.RTMP.MaxHandshakes, 1, 1_000_000) }},
	{key: "rtmp.max_handshakes_per_ip", def: "0", changes: atOnce, help: "of these, from one address or IPv6 /64; 0 is half",
		bind: func(c *Config) value { return count(&c.RTMP.MaxHandshakesPerIP, 0, 1_000_000) }},
	{key: "rtmp.max_before_auth", def: "64KiB", changes: newConnections, help: "most that is taken from an RTMP connection before it may publish or play",
		bind: func(c *Config) value { return size(&c.RTMP.MaxBeforeAuth, 8*kib, mib) }},
	{key: "rtmp.handshake_timeout", def: "5s", changes: newConnections, help: "longest RTMP handshake",
		bind: func(c *Config) value {
			return duration(&c.RTMP.HandshakeTimeout, 100*time.Millisecond, time.Minute)
		}},
	{key: "rtmp.request_timeout", def: "10s", changes: newConnections, help: "longest time from the handshake to publish or play",
		bind: func(c *Config) value {
			return duration(&c.RTMP.RequestTimeout, 100*time.Millisecond, 5*time.Minute)
		}},
	{key: "rtmp.media_timeout", def: "15s", changes: newConnections, help: "longest silence of a publisher before its publication ends",
		bind: func(c *Config) value { return duration(&c.RTMP.MediaTimeout, time.Second, time.Hour) }},

	{key: "rtmp.idle_timeout", def: "15s", changes: newConnections, help: "longest silence of an RTMP peer, which is pinged meanwhile; a player that takes what it is sent may be silent",
		bind: func(c *Config) value { return duration(&c.RTMP.IdleTimeout, time.Second, time.Hour) }},
	{key: "rtmp.write_timeout", def: "10s", changes: newConnections, help: "longest time an RTMP peer may take nothing of what is sent to it",
		bind: func(c *Config) value { return duration(&c.RTMP.WriteTimeout, time.Second, time.Hour) }},
	{key: "rtmp.max_partial", def: "32MiB", changes: newConnections, help: "memory for the unfinished messages of a publisher",
		bind: func(c *Config) value { return size(&c.RTMP.MaxPartial, 64*kib, 256*mib) }},
	{key: "rtmp.max_partial_messages", def: "64", changes: newConnections, help: "unfinished messages of an RTMP connection at once",
		bind: func(c *Config) value { return count(&c.RTMP.MaxPartialMessages, 3, 64) }},

	{key: "rtmps.addr", def: "", changes: atOnce, help: "RTMP over TLS listener; empty is off",
		bind: func(c *Config) value { return address(&c.RTMPS.Addr) }},
	{key: "rtmps.cert", def: "", changes: atOnce, help: "PEM file with the certificate chain for RTMPS",
		bind: func(c *Config) value { return text(&c.RTMPS.Cert, "file") }},
	{key: "rtmps.key", def: "", changes: atOnce, help: "PEM file with the private key for RTMPS",
		bind: func(c *Config) value { return text(&c.RTMPS.Key, "file") }},

	{key: "http.addr", def: ":8080", changes: atOnce, help: "public HTTP listener for HLS and FLV; empty is off",
		bind: func(c *Config) value { return address(&c.HTTP.Addr) }},
	{key: "http.max_connections", def: "50000", changes: atOnce, help: "HTTP and HTTPS connections at once",
		bind: func(c *Config) value { return count(&c.HTTP.MaxConnections, 1, 10_000_000) }},
	{key: "http.max_connections_per_ip", def: "10000", changes: atOnce, help: "HTTP and HTTPS connections at once from one address, which may be a proxy's; the addresses of an IPv6 /64 are one",
		bind: func(c *Config) value { return count(&c.HTTP.MaxConnectionsPerIP, 1, 10_000_000) }},
	{key: "http.max_handshakes", def: "5000", changes: atOnce, help: "HTTP and HTTPS connections at once without a first request yet",
		bind: func(c *Config) value { return count(&c.HTTP.MaxHandshakes, 1, 10_000_000) }},
	{key: "http.max_handshakes_per_ip", def: "0", changes: atOnce, help: "of these, from one address, which may be a proxy's, or IPv6 /64; 0 is half",
		bind: func(c *Config) value { return count(&c.HTTP.MaxHandshakesPerIP, 0, 10_000_000) }},
	{key: "http.max_header", def: "16KiB", changes: newConnections, help: "largest header of an HTTP request",
		bind: func(c *Config) value { return size(&c.HTTP.MaxHeader, 4*kib, mib) }},
	{key: "http.header_timeout", def: "10s", changes: newConnections, help: "longest time for the header of an HTTP request",
		bind: func(c *Config) value { return duration(&c.HTTP.HeaderTimeout, 100*time.Millisecond, 5*time.Minute) }},
	{key: "http.public_url", def: "", changes: atOnce, help: "URL at which viewers reach the public listener, for the links that are shown; empty is found out",
		bind: func(c *Config) value { return baseURL(&c.HTTP.PublicURL) }},
	{key: "http.watch_page", def: "true", changes: atOnce, help: "serve a page at /APP/NAME that plays the stream",
		bind: func(c *Config) value { return boolean(&c.HTTP.WatchPage) }},
	{key: "http.access_log", def: "", changes: atOnce, help: "file with a line for each request that was answered and each playback over RTMP, - for standard output; SIGHUP opens it again; empty is off",
		bind: func(c *Config) value { return text(&c.HTTP.AccessLog, "file") }},
	{key: "http.access_log_format", def: "json", changes: atOnce, help: "what those lines look like: json, or the combined format of web servers with more behind it",
		bind: func(c *Config) value { return choice(&c.HTTP.AccessLogFormat, AccessLogJSON, AccessLogCombined) }},
	{key: "https.addr", def: "", changes: atOnce, help: "the same over TLS, with HTTP/2; empty is off",
		bind: func(c *Config) value { return address(&c.HTTPS.Addr) }},
	{key: "https.cert", def: "", changes: atOnce, help: "PEM file with the certificate chain for HTTPS",
		bind: func(c *Config) value { return text(&c.HTTPS.Cert, "file") }},
	{key: "https.key", def: "", changes: atOnce, help: "PEM file with the private key for HTTPS",
		bind: func(c *Config) value { return text(&c.HTTPS.Key, "file") }},

	{key: "admin.addr", def: "127.0.0.1:8081", changes: atOnce, help: "private HTTP listener for API, metrics, health and console; empty is off",
		bind: func(c *Config) value { return address(&c.Admin.Addr) }},
	{key: "admin.token", def: "", changes: atOnce, help: "bearer token of the private listener; required unless it is on loopback", secret: true,
		bind: func(c *Config) value { return text(&c.Admin.Token, "secret") }},

	{key: "admin.token_file", def: "", changes: atOnce, help: "file with that token, which others cannot read",
		bind: func(c *Config) value { return text(&c.Admin.TokenFile, "file") }},
	{key: "admin.max_connections", def: "1000", changes: atOnce, help: "connections of the private listener at once; half of these may be without a first request yet",
		bind: func(c *Config) value { return count(&c.Admin.MaxConnections, 1, 1_000_000) }},
	{key: "admin.max_connections_per_ip", def: "500", changes: atOnce, help: "of these, from one address, which may be a proxy's; the addresses of an IPv6 /64 are one",
		bind: func(c *Config) value { return count(&c.Admin.MaxConnectionsPerIP, 1, 1_000_000) }},
}

// outputTable has what is kept and given out.
var outputTable = []setting{
	{key: "metrics.per_stream", def: "false", changes: atOnce, help: "give each stream metrics of its own, for at most 1000 streams",
		bind: func(c *Config) value { return boolean(&c.Metrics.PerStream) }},

	{key: "storage.kind", def: "dir", changes: restart, help: "where segments and journals live; memory keeps nothing",
		bind: func(c *Config) value { return choice(&c.Storage.Kind, StorageDir, StorageMemory) }},
	{key: "storage.dir", def: "./headwater-data", changes: restart, help: "folder of the dir storage, made when it is missing",
		bind: func(c *Config) value { return text(&c.Storage.Dir, "folder") }},

	{key: "storage.quota", def: "0", changes: atOnce, help: "what all segments may take; beyond it those no longer listed go early, oldest first, listed ones never; 0 is no quota",
		bind: func(c *Config) value { return size(&c.Storage.Quota, 0, math.MaxInt) }},
	{key: "storage.sync", def: "false", changes: restart, help: "flush each segment and journal record to the disk, so that a power cut loses neither; costs disk time",
		bind: func(c *Config) value { return boolean(&c.Storage.Sync) }},
	{key: "storage.memory_limit", def: "0", changes: restart, help: "what the memory storage may hold; when it is full it is like a full disk; 0 is no limit",
		bind: func(c *Config) value { return size(&c.Storage.MemoryLimit, 0, math.MaxInt) }},

	{key: "hls.enabled", def: "true", changes: restart, help: "serve HLS",
		bind: func(c *Config) value { return boolean(&c.HLS.Enabled) }},
	{key: "hls.segment", def: "2s", changes: newStreams, help: "shortest segment; the cut waits for the next keyframe",
		bind: func(c *Config) value { return duration(&c.HLS.Segment, 100*time.Millisecond, time.Minute) }},
	{key: "hls.window", def: "6", changes: newStreams, help: "segments in the live playlist",
		// RFC 8216, section 6.2.2, wants three target durations in a live playlist.
		bind: func(c *Config) value { return count(&c.HLS.Window, 3, 10_000) }},
	{key: "hls.segment_max_age", def: "31536000s", changes: atOnce, help: "how long caches may keep a segment",
		bind: func(c *Config) value { return duration(&c.HLS.SegmentMaxAge, 0, year) }},

	{key: "hls.retain", def: "0s", changes: atOnce, help: "how long a segment stays after it has left the playlist, at most 10000 per stream; 0 is as long as RFC 8216 asks",
		bind: func(c *Config) value { return duration(&c.HLS.Retain, 0, year) }},
	{key: "hls.retain_segments", def: "0", changes: atOnce, help: "how many segments of a live stream stay after they have left the playlist, if hls.retain keeps fewer",
		bind: func(c *Config) value { return count(&c.HLS.RetainSegments, 0, 10_000) }},
	{key: "hls.max_held", def: "256MiB", changes: atOnce, help: "what all streams may have of finished segments in memory while the storage is slow or fails; beyond it playlists get shorter, then segments are lost",
		bind: func(c *Config) value { return size(&c.HLS.MaxHeld, 64*kib, math.MaxInt) }},

	{key: "stream.grace", def: "30s", changes: atOnce, help: "how long outputs outlive their publisher",
		bind: func(c *Config) value { return duration(&c.Stream.Grace, 0, 24*time.Hour) }},
	{key: "stream.on_conflict", def: "takeover", changes: atOnce, help: "what a second publisher of a name does",
		bind: func(c *Config) value { return choice(&c.Stream.OnConflict, ConflictTakeover, ConflictReject) }},
	{key: "stream.max_takeovers", def: "10", changes: atOnce, help: "takeovers of a live stream in a minute before its publisher keeps it for half a minute; 0 is no limit",
		bind: func(c *Config) value { return count(&c.Stream.MaxTakeovers, 0, 1_000_000) }},
	{key: "stream.max_streams", def: "10000", changes: atOnce, help: "streams at once",
		bind: func(c *Config) value { return count(&c.Stream.MaxStreams, 1, 1_000_000) }},

	{key: "stream.max_publishers", def: "0", changes: atOnce, help: "streams published at once; 0 is no limit",
		bind: func(c *Config) value { return count(&c.Stream.MaxPublishers, 0, 1_000_000) }},
	{key: "stream.max_viewers", def: "0", changes: atOnce, help: "viewers of FLV, TS, RTMP and HLS at once; 0 is no limit",
		bind: func(c *Config) value { return count(&c.Stream.MaxViewers, 0, 10_000_000) }},
	{key: "stream.max_viewers_per_stream", def: "0", changes: atOnce, help: "viewers of FLV, TS, RTMP and HLS of one stream at once; 0 is no limit",
		bind: func(c *Config) value { return count(&c.Stream.MaxViewersPerStream, 0, 10_000_000) }},

	{key: "flv.enabled", def: "true", changes: atOnce, help: "serve HTTP-FLV and WebSocket-FLV",
		bind: func(c *Config) value { return boolean(&c.FLV.Enabled) }},
	{key: "ts.enabled", def: "true", changes: atOnce, help: "serve a transport stream over HTTP; flv.latency, flv.wait and flv.max_backlog hold for it",
		bind: func(c *Config) value { return boolean(&c.TS.Enabled) }},

	{key: "flv.latency", def: "50ms", changes: atOnce, help: "longest time a packet waits for others before viewers are written to; 0 is at once",
		bind: func(c *Config) value { return duration(&c.FLV.Latency, 0, time.Second) }},
	{key: "flv.wait", def: "10s", changes: atOnce, help: "how long a viewer may wait for a publisher; 0 is not at all",
		bind: func(c *Config) value { return duration(&c.FLV.Wait, 0, 5*time.Minute) }},
	{key: "flv.max_backlog", def: "8MiB", changes: newConnections, help: "how far a viewer may fall behind before it continues at the newest keyframe",
		bind: func(c *Config) value { return size(&c.FLV.MaxBacklog, 64*kib, 1024*mib) }},
}

// serverTable has the rest.
var serverTable = []setting{
	{key: "log.level", def: "info", changes: atOnce, help: "least level that is logged",
		bind: func(c *Config) value { return level(&c.Log.Level) }},
	{key: "log.format", def: "text", changes: atOnce, help: "shape of the log; json for machines",
		bind: func(c *Config) value { return choice(&c.Log.Format, LogText, LogJSON) }},

	{key: "drain.timeout", def: "10s", changes: atOnce, help: "how long publishers may go on after SIGTERM, while no new ones are taken; then everything ends within 10s",
		bind: func(c *Config) value { return duration(&c.Drain.Timeout, 0, 10*time.Minute) }},
	{key: "upgrade.timeout", def: "1h", changes: atOnce, help: "how long a process that another one has taken over from goes on for those who watch HTTP-FLV, HTTP-TS and RTMP there",
		bind: func(c *Config) value { return duration(&c.Upgrade.Timeout, 0, 30*24*time.Hour) }},
}

// find returns the row of a key.
func find(key string) (setting, bool) {
	for _, s := range table {
		if s.key == key {
			return s, true
		}
	}
	return setting{}, false
}

// isGroup says whether keys begin with name and a dot.
func isGroup(name string) bool {
	for _, s := range table {
		if strings.HasPrefix(s.key, name+".") {
			return true
		}
	}
	return false
}
