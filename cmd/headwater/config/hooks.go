package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Hooks configures webhooks, which are on when there is a URL.
type Hooks struct {
	URLs   string // http and https URLs with spaces or commas between them; secret, since many carry a key
	Secret string // signs the deliveries
	Events string // types with commas between them
	Dir    string // folder of the queues

	MaxQueue int           // bytes that may wait for an endpoint
	Timeout  time.Duration // of an attempt
	MaxAge   time.Duration // how long an event is tried
}

// minHookSecret is the shortest secret that signs: a short one is found by trying.
const minHookSecret = 16

// Endpoints returns the URLs.
func (h Hooks) Endpoints() []string { return words(h.URLs) }

// Types returns the types of events that are delivered.
func (h Hooks) Types() []string { return words(h.Events) }

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
}

// hookTable has webhooks.
var hookTable = []setting{
	{key: "hooks.urls", def: "", changes: atOnce, help: "URLs that events are posted to, with spaces between them; empty is off", secret: true,
		bind: func(c *Config) value { return urls(&c.Hooks.URLs) }},
	{key: "hooks.secret", def: "", changes: atOnce, help: "secret that signs what is posted, at least 16 characters", secret: true,
		bind: func(c *Config) value { return text(&c.Hooks.Secret, "secret") }},
	{key: "hooks.events", changes: atOnce,
		def:  "server.started,publish.started,publish.ended,stream.live,stream.idle,stream.ended,finding.raised,finding.cleared",
		help: "events that are posted, with commas between them; segment.published and viewers.changed are many",
		bind: func(c *Config) value { return eventTypes(&c.Hooks.Events) }},
	{key: "hooks.dir", def: "./headwater-hooks", changes: restart, help: "folder of what waits to be posted, made when it is needed",
		bind: func(c *Config) value { return text(&c.Hooks.Dir, "folder") }},
	{key: "hooks.max_queue", def: "64MiB", changes: atOnce, help: "most that may wait for one URL; what is beyond is dropped and said",
		bind: func(c *Config) value { return size(&c.Hooks.MaxQueue, 64*kib, 1024*mib) }},
	{key: "hooks.timeout", def: "10s", changes: atOnce, help: "longest time for one attempt to post",
		bind: func(c *Config) value { return duration(&c.Hooks.Timeout, 100*time.Millisecond, 5*time.Minute) }},
	{key: "hooks.max_age", def: "24h", changes: atOnce, help: "how long an event is tried before it is given up",
		bind: func(c *Config) value { return duration(&c.Hooks.MaxAge, time.Minute, year) }},
}

// urls is a list of http and https URLs, or nothing. Its errors never quote them.
func urls(p *string) value {
	set := func(s string) error {
		for i, text := range words(s) {
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
				return fmt.Errorf("number %d is not a URL that begins with http:// or https:// and a host", i+1)
			}
		}
		*p = s
		return nil
	}
	return value{kind: "URLs", set: set, get: func() string { return *p }}
}

// hookEvents are the types that can be posted. A test compares them with package events.
var hookEvents = []string{
	"server.started", "publish.started", "publish.ended", "stream.live", "stream.idle", "stream.ended",
	"segment.published", "viewers.changed", "finding.raised", "finding.cleared",
}

func eventTypes(p *string) value {
	set := func(s string) error {
		for _, t := range words(s) {
			if !slices.Contains(hookEvents, t) {
				return fmt.Errorf("%q is not one of %s", t, strings.Join(hookEvents, ", "))
			}
		}
		if len(words(s)) == 0 {
			return errors.New("has no event in it")
		}
		*p = s
		return nil
	}
	return value{kind: "events", set: set, get: func() string { return *p }}
}

func checkHooks(h Hooks, add adder) {
	if len(h.Endpoints()) == 0 {
		return
	}
	switch {
	case h.Secret == "":
		add("hooks.secret", "hooks.urls", "is required because hooks.urls is set: it signs what is posted")
	case len(h.Secret) < minHookSecret:
		add("hooks.secret", "", "has fewer than %d characters", minHookSecret)
	}
	if h.Dir == "" {
		add("hooks.dir", "hooks.urls", "is empty, but hooks.urls is set")
	}
}
