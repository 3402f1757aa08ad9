// Package config holds the settings of the server.
//
// There is one rule: a key in the YAML file, a flag and an environment variable are the same thing.
// The key rtmp.addr is
//
//	rtmp:
//	  addr: ":1935"                # headwater.yaml
//	--rtmp.addr=:1935              # flag
//	HEADWATER_RTMP_ADDR=:1935      # environment
//
// Flags beat environment beats file beats defaults. One table (table.go) has a row per setting: its key,
// its default, what it means, and where its value goes. Everything else is derived from that row: the flag
// with its help text, the name of the variable, the lines of `headwater config show`, the table in the
// documentation, and the nearest key that is suggested for a misspelt one.
//
// [Load] reads the three sources once and returns a [Config]. It never stops at the first fault: whoever
// writes a configuration sees all that is wrong with it at once, as [Faults]. A Config is a value that
// nobody changes after Load; a reload makes a new one and compares the two with [Changes].
//
// A new setting is one field in this file and one row in the table.
package config

import (
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Config is the whole configuration. It is passed by value and never changed after [Load] returned it.
type Config struct {
	RTMP    RTMP
	RTMPS   TLSListener // RTMP over TLS; the limits of RTMP hold for it as well
	HTTP    HTTP
	HTTPS   TLSListener // the routes of HTTP over TLS, with HTTP/2
	Admin   Admin
	Metrics Metrics
	Storage Storage
	HLS     HLS
	Stream  Stream
	TS      TS
	FLV     FLV
	Auth    Auth
	Hooks   Hooks
	Log     Log
	Drain   Drain
	Upgrade Upgrade

	// origins says where each value that is not a default came from, by key. Set by Load, then read only.
	origins map[string]string
}

// RTMP configures the RTMP listener and the limits of every RTMP and RTMPS connection.
type RTMP struct {
	Addr string // host:port to listen on; "" is off

	MaxMessage          int // bytes of the largest message taken from a peer, at most 16 MiB
	MaxConnections      int // connections at once, RTMP and RTMPS together
	MaxConnectionsPerIP int // of these, from one address
	MaxHandshakes       int // connections at once that have not ended their handshake
	MaxHandshakesPerIP  int // of these, from one address; 0 is half
	MaxBeforeAuth       int // bytes taken from a connection before it may publish or play

	HandshakeTimeout time.Duration // from accept to the end of the handshake
	RequestTimeout   time.Duration // from there to publish or play
	MediaTimeout     time.Duration // longest silence of a publisher
	IdleTimeout      time.Duration // longest silence of any peer, though it is pinged
	WriteTimeout     time.Duration // longest time a peer may take nothing

	MaxPartial         int // bytes of the unfinished messages of a publisher, at least MaxMessage
	MaxPartialMessages int // unfinished messages of a connection, at most 64
}

// TLSListener is a listener that is on when Addr is set.
type TLSListener struct {
	Addr string // host:port to listen on; "" is off
	Cert string // PEM file with the certificate chain
	Key  string // PEM file with the private key
}

// Enabled says whether there is anything to listen on.
func (l TLSListener) Enabled() bool { return l.Addr != "" }

// HTTP configures the public HTTP listener.
type HTTP struct {
	Addr string // host:port to listen on; "" is off

	PublicURL string // how viewers reach it, such as "https://cdn.example.com"; "" if it is not known
	WatchPage bool   // serve a page at /APP/NAME that plays the stream

	MaxConnections      int           // connections at once, HTTP and HTTPS together
	MaxConnectionsPerIP int           // of these, from one address
	MaxHandshakes       int           // of these, without a first request yet
	MaxHandshakesPerIP  int           // of those, from one address; 0 is half
	MaxHeader           int           // bytes of a request's header
	HeaderTimeout       time.Duration // longest time for it

	AccessLog       string // file with a line for each request, "-" for standard output; "" is off
	AccessLogFormat AccessLogFormat
}

// AccessLogFormat is the shape of the lines of the access log.
type AccessLogFormat string

const (
	AccessLogJSON     AccessLogFormat = "json"
	AccessLogCombined AccessLogFormat = "combined"
)

// Admin configures the private HTTP listener: API, metrics, health, console.
type Admin struct {
	Addr  string // host:port to listen on; "" is off
	Token string // bearer token; this or TokenFile is required when Addr is not a loopback address

	TokenFile string

	MaxConnections      int // connections at once, half of which may be without a request yet
	MaxConnectionsPerIP int // of these, from one address
}

// Metrics configures the metrics of the private HTTP listener.
type Metrics struct {
	PerStream bool // each stream has series of its own; names are chosen by publishers
}

// StorageKind names a blob store.
type StorageKind string

const (
	StorageDir    StorageKind = "dir"    // files under Storage.Dir
	StorageMemory StorageKind = "memory" // nothing outlives the process
)

// Storage configures where segments and journals live.
type Storage struct {
	Kind StorageKind
	Dir  string // folder, made when it is missing; used by StorageDir

	Sync        bool // StorageDir flushes each segment and journal record to the disk
	MemoryLimit int  // bytes that StorageMemory keeps; 0 is no limit
	Quota       int  // bytes of all HLS segments together; 0 is no quota
}

// HLS configures the HLS output.
type HLS struct {
	Enabled       bool
	Segment       time.Duration // shortest segment; the cut waits for the next keyframe
	Window        int           // segments in the live playlist
	SegmentMaxAge time.Duration // max-age in the Cache-Control of segments, whole seconds

	// How long segments stay after they have left the playlist, beyond what RFC 8216 asks.
	Retain         time.Duration // of any stream
	RetainSegments int           // of a live stream, the newest so many

	MaxHeld int // bytes of segments in memory while the storage fails, all streams together
}

// Conflict is what happens when a name that is being published is published again.
type Conflict string

const (
	ConflictTakeover Conflict = "takeover" // the newer publisher wins, the older one is fenced
	ConflictReject   Conflict = "reject"   // the newer publisher is refused
)

// Stream configures every stream.
type Stream struct {
	Grace      time.Duration // how long outputs outlive their publisher
	OnConflict Conflict
	// MaxTakeovers is how often a stream may be taken over in a minute from a publisher that
	// is alive; 0 is no limit.
	MaxTakeovers int
	MaxStreams   int // streams at once

	MaxPublishers       int // streams being published at once; 0 is no limit
	MaxViewers          int // viewers of FLV, TS, RTMP and HLS at once; 0 is no limit
	MaxViewersPerStream int // of these, of one stream
}

// TS configures HTTP-TS, which for the rest goes by what is set for FLV.
type TS struct{ Enabled bool }

// FLV configures HTTP-FLV and WebSocket-FLV.
type FLV struct {
	Enabled    bool
	Latency    time.Duration // longest time a packet waits for others before viewers are written to; 0 is at once
	Wait       time.Duration // how long a viewer may wait for a publisher; 0 is not at all
	MaxBacklog int           // bytes a viewer may be behind before it continues at the newest keyframe
}

// OnFailure is what happens when the authorisation backend fails.
type OnFailure string

const (
	FailureDeny  OnFailure = "deny"
	FailureAllow OnFailure = "allow"
)

// HLSToken is how a token gets from the URL of a playlist to what the playlist names.
type HLSToken string

const (
	TokenQuery HLSToken = "query" // it is appended to the URIs in playlists
	TokenPath  HLSToken = "path"  // it stands in the path, before APP, so that playlists are the same for all
)

// Auth configures who may publish and play.
type Auth struct {
	Publish Rules
	Watch   Rules

	Key      string // allows publishing every stream
	KeysFile string // lines of STREAM KEY

	Secret     string // signs URLs
	SecretFile string // a secret a line, the first of which signs

	JWTSecret     string // verifies HS256
	JWTSecretFile string
	JWTKeysFile   string // PEM, public keys
	JWKSURL       string // may be secret
	JWKSRefresh   time.Duration
	JWTIssuer     string
	JWTAudience   string

	CallbackURL       string // may be secret
	CallbackTimeout   time.Duration
	CallbackOnFailure OnFailure

	HLSToken      HLSToken
	CheckSegments bool // the token is needed for segments, too, not only for playlists
	EndAtExpiry   bool // publishers and viewers are sent away when their permission expires
	EndOnRemoval  bool // and when the key or secret that let them in is no longer in its file
}

// LogFormat is the shape of log lines.
type LogFormat string

const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Log configures the log, which goes to standard error.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// Drain configures the end of the server.
type Drain struct {
	Timeout time.Duration // how long publishers may go on after SIGTERM or SIGINT
}

// Upgrade configures what happens when another process takes over.
type Upgrade struct {
	Timeout time.Duration // how long this process goes on for those who watch
}

// Default returns the configuration of a server that nobody configured.
func Default() Config {
	var c Config
	for _, s := range table {
		if err := s.bind(&c).set(s.def); err != nil {
			panic("default of " + s.key + ": " + err.Error()) // the table is wrong; a test reads all of it
		}
	}
	return c
}

// Origin says where the value of a key came from: "headwater.yaml:3", "--rtmp.addr",
// "HEADWATER_RTMP_ADDR" or "default".
func (c Config) Origin(key string) string {
	if o, ok := c.origins[key]; ok {
		return o
	}
	return "default"
}

// IsLoopback says whether a listener on addr (host:port) can be reached from this machine alone. An empty
// host is every address of the machine; a name other than localhost may be anything, so it is not loopback.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
