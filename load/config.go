package load

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config describes a load. Zero values mean the defaults.
type Config struct {
	// Source is what is published; it must not be nil if there are publishers.
	Source Source
	// Publishers is how many publishers there are. 0 is none: the streams exist already.
	Publishers int
	// PublishURL is where they publish, rtmp[s]://HOST[:PORT]/APP/NAME. In it, and in the URLs of viewers, %d
	// stands for the number of the stream, from 1.
	PublishURL string
	// Streams is how many streams the viewers watch, in turn (as many as there are publishers, at least 1).
	Streams int
	Viewers []Viewers

	// Ramp is how many viewers come each second (500).
	Ramp int
	// Warmup is how long everything runs before it is measured, and Duration how long it is measured (30 s).
	Warmup, Duration time.Duration
	// Stall is how long nothing may come to a viewer of a stream before it has stalled (1 s).
	Stall time.Duration
	// Look is that every so many viewers' frames are looked into, for delay and lost frames; the bytes of the
	// others are only counted. 0 chooses: all up to 50 of a protocol, then about 50.
	Look int
	// Insecure accepts every certificate.
	Insecure bool

	// PID is the process of the server, whose CPU and memory are measured; 0 is unknown.
	PID int
	// Observe, if not nil, is called about once a second with the state of things.
	Observe func(Progress)

	// baseline is how long publishers run before the server's memory without viewers is measured.
	baseline time.Duration
}

// Viewers are viewers of one protocol.
type Viewers struct {
	Protocol Protocol
	URL      string // with %d as in Config.PublishURL
	Count    int
}

// Progress is how far a load has come.
type Progress struct {
	Phase string        // what is being done, for people
	Since time.Duration // since the phase began,
	Of    time.Duration // and how long it takes; 0 is unknown
	// Report is what there is so far: of the measured part, or before it of everything.
	Report *Report
}

const (
	// maxClients bounds publishers and viewers: more do not fit one machine.
	maxClients = 1_000_000
	// lookAt is how many viewers of a protocol are looked into by default.
	lookAt = 50
)

func (c Config) withDefaults() Config {
	c.Ramp = cmp.Or(c.Ramp, 500)
	c.Duration = cmp.Or(c.Duration, 30*time.Second)
	c.Stall = cmp.Or(c.Stall, time.Second)
	c.baseline = cmp.Or(c.baseline, 2*time.Second)
	c.Streams = cmp.Or(c.Streams, c.Publishers, 1)
	return c
}

// Validate returns all that is wrong with a configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Publishers < 0 || c.Publishers > maxClients, "%d publishers: 0 to %d are possible", c.Publishers, maxClients)
	fault(c.Streams < 1 || c.Streams > maxClients, "%d streams: 1 to %d are possible", c.Streams, maxClients)
	fault(c.Publishers > 0 && c.Source == nil, "there is nothing to publish")
	fault(c.Ramp < 1, "viewers come at a rate of at least 1 a second")
	fault(c.Warmup < 0 || c.Duration < time.Millisecond, "the warm-up or the duration is too short")
	fault(c.Stall < 10*time.Millisecond, "a stall has at least 10 ms")
	fault(c.Look < 0, "every n-th viewer is looked into, and n is at least 1")
	if c.Publishers > 0 {
		faults = append(faults, checkURL(c.PublishURL, c.Publishers, "rtmp", "rtmps"))
	}
	viewers := 0
	for _, v := range c.Viewers {
		fault(v.Count < 1 || v.Count > maxClients, "%d %s viewers: 1 to %d are possible", v.Count, v.Protocol, maxClients)
		schemes := []string{"http", "https"}
		switch v.Protocol {
		case WebSocketFLV:
			schemes = []string{"ws", "wss"}
		case RTMPPlay:
			schemes = []string{"rtmp", "rtmps"}
		}
		faults = append(faults, checkURL(v.URL, c.Streams, schemes...))
		viewers += v.Count
	}
	fault(viewers == 0 && c.Publishers == 0, "there are neither publishers nor viewers")
	return errors.Join(faults...)
}

// checkURL does not quote what it refuses, for there may be a key in it.
func checkURL(pattern string, streams int, schemes ...string) error {
	u, err := url.Parse(streamURL(pattern, 1))
	ok := false
	if err == nil && u.Hostname() != "" {
		for _, s := range schemes {
			ok = ok || u.Scheme == s
		}
	}
	if !ok {
		return fmt.Errorf("a URL is not %s://HOST[:PORT]/APP/NAME", strings.Join(schemes, ":// or "))
	}
	if streams > 1 && !strings.Contains(pattern, "%d") {
		return fmt.Errorf("a URL for %d streams has no %%d for their numbers", streams)
	}
	return nil
}

// streamURL is the URL of the n-th stream.
func streamURL(pattern string, n int) string {
	return strings.ReplaceAll(pattern, "%d", strconv.Itoa(n))
}

// descriptorsNeeded is how many files are open at once: a few for the process and one for each client. While
// a connection changes hands it has two.
func (c Config) descriptorsNeeded() int {
	n := 128 + c.Publishers + joiners*len(c.Viewers)
	for _, v := range c.Viewers {
		n += v.Count
		if v.Protocol == HLS {
			n += v.Count // net/http may open a second connection while the first one closes
		}
	}
	return n
}

// clients is how many connections there are.
func (c Config) clients() int {
	n := c.Publishers
	for _, v := range c.Viewers {
		n += v.Count
	}
	return n
}
