package hlscheck

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// questioner asks an origin what caches and browsers ask.
type questioner struct {
	o   Options
	ctx context.Context
	f   *findings
}

// resource is something that is asked about.
type resource struct {
	url     string
	segment bool
}

// origin is sent with every request, as a browser does on a page of another site.
const origin = "https://player.example"

// CheckHTTP asks about the multivariant playlist, the media playlist and the
// newest segment, and adds what it finds to the report. The stream must exist. The
// error says that it could not ask.
func (c *Checker) CheckHTTP(ctx context.Context) error {
	q := &questioner{o: c.o, ctx: ctx, f: &findings{}}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.found.merge(q.f.list)
	}()
	resources, err := q.resources()
	if err != nil {
		return err
	}
	for _, r := range resources {
		q.checkHead(r)
		q.checkMethods(r)
		q.checkConditional(r)
		q.checkQuery(r)
		if r.segment {
			q.checkRanges(r)
		} else {
			q.checkGzip(r)
		}
	}
	// A segment that was the newest at the start no longer tells what comes next.
	if resources, err = q.resources(); err != nil {
		return err
	}
	q.checkUnknown(resources)
	if c.o.AliasURL != "" {
		q.checkAlias(resources[0].url)
	}
	return ctx.Err()
}

// resources finds the URLs to ask about.
func (q *questioner) resources() ([]resource, error) {
	var list []resource
	url := q.o.URL
	for range 2 {
		a, err := q.o.request(q.ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("GET %s: status %d", url, a.status)
		}
		list = append(list, resource{url: url})
		v := Version{URL: url, At: a.at, Body: a.body}
		if bytes.Contains(a.body, []byte("#EXTINF:")) {
			p, _ := parseMedia(v, &findings{})
			if len(p.entries) == 0 {
				return nil, fmt.Errorf("%s lists no segment", url)
			}
			return append(list, resource{p.entries[len(p.entries)-1].url, true}), nil
		}
		m, ok := parseMultivariant(v, &findings{})
		if !ok {
			return nil, fmt.Errorf("%s is no playlist", url)
		}
		url = m.variants[0].url
	}
	return nil, fmt.Errorf("%s leads to no media playlist", q.o.URL)
}

// ask sends a request and judges what holds for every answer. Without an answer
// it returns a zero one, which fits no expectation.
func (q *questioner) ask(method, url string, headers ...string) answer {
	h := http.Header{"Origin": {origin}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	if h.Get("Origin") == "-" {
		h.Del("Origin")
	}
	a, err := q.o.request(q.ctx, method, url, h)
	if err != nil {
		q.add("request-failed", url, "%s %v: %v", method, headers, err)
		return answer{header: http.Header{}}
	}
	what := fmt.Sprintf("%s %v: %d", method, headers, a.status)
	checkEverywhere(url, a.at, a.header, what, q.f)
	if a.status >= 300 && a.status < 400 && a.status != http.StatusNotModified {
		q.add("redirect", url, "%s to %q", what, a.header.Get("Location"))
	}
	if a.status >= 500 {
		q.add("server-error", url, "%s", what)
	}
	return a
}

func (q *questioner) add(rule, url, format string, args ...any) {
	q.f.add(rule, url, time.Now(), format, args...)
}

// attempts bounds how often a question is asked again because a live playlist
// changed between its requests.
const attempts = 5

// stable runs ask between two GETs until both see the same representation, so
// that an answer is compared with the bytes it belongs to.
func (q *questioner) stable(url string, ask func(now answer)) {
	kept := q.f
	defer func() { q.f = kept }()
	for n := range attempts {
		q.f = &findings{}
		a := q.ask(http.MethodGet, url)
		ask(a)
		b := q.ask(http.MethodGet, url)
		if bytes.Equal(a.body, b.body) || n == attempts-1 {
			kept.merge(q.f.list)
			return
		}
	}
}

// checkHead checks that HEAD answers as GET does, without the body.
func (q *questioner) checkHead(r resource) {
	q.stable(r.url, func(get answer) {
		head := q.ask(http.MethodHead, r.url)
		if head.status != get.status || len(head.body) != 0 {
			q.add("head-differs", r.url, "GET answers %d, HEAD %d with %d bytes of body", get.status, head.status, len(head.body))
			return
		}
		for _, name := range unionOfKeys(get.header, head.header) {
			if name == "Date" || name == "Age" {
				continue
			}
			if g, h := strings.Join(get.header.Values(name), ","), strings.Join(head.header.Values(name), ","); g != h {
				q.add("head-differs", r.url, "GET answers %s: %q, HEAD %q", name, g, h)
			}
		}
		if alone := q.ask(http.MethodGet, r.url, "Origin", "-"); alone.status != http.StatusOK {
			q.add("server-error", r.url, "GET without Origin: %d", alone.status)
		}
	})
}

func unionOfKeys(a, b http.Header) (keys []string) {
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// checkQuery checks that unknown query keys change nothing, lest everyone could
// make a cache miss mean something else.
func (q *questioner) checkQuery(r resource) {
	q.stable(r.url, func(plain answer) {
		join := "?"
		if strings.Contains(r.url, "?") {
			join = "&"
		}
		a := q.ask(http.MethodGet, r.url+join+"nobody-knows-this=1&_=1763712000")
		if a.status != plain.status || !bytes.Equal(a.body, plain.body) || a.header.Get("ETag") != plain.header.Get("ETag") {
			q.add("query-matters", r.url, "with an unknown query key: status %d, %d bytes, ETag %s; without: %d, %d, %s", a.status,
				len(a.body), a.header.Get("ETag"), plain.status, len(plain.body), plain.header.Get("ETag"))
		}
	})
}

// checkAlias checks that the other address names the same media playlists.
func (q *questioner) checkAlias(main string) {
	q.stable(main, func(now answer) {
		a := q.ask(http.MethodGet, q.o.AliasURL)
		want, _ := parseMultivariant(Version{URL: main, Body: now.body}, &findings{})
		got, ok := parseMultivariant(Version{URL: q.o.AliasURL, Body: a.body}, &findings{})
		if a.status != http.StatusOK || !ok || len(got.variants) != len(want.variants) || got.variants[0].url != want.variants[0].url {
			q.add("alias-differs", q.o.AliasURL, "status %d; the variants are not those of %s", a.status, main)
		}
	})
}
