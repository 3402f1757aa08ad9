package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A cache is asked for each playlist many times a second, but a busy machine may put that off. A cache that nobody has
// asked for longer than stale-while-revalidate, or whose origin takes as long to answer, has nothing left to give to
// all but one: it may let some requests through together then. These times are written down, so that what the origin is
// asked for at all others can be checked, however busy the machine is.

// quiet is less than any cache takes to forget what it may give out while it asks the origin.
const quiet = cdnMaxAge / 2

// aftermath is how long a request that a cache let through at the end of a quiet time takes to reach the origin.
const aftermath = cdnMaxAge

// quietTime is a time in which a cache was not asked, or not answered.
type quietTime struct {
	key      string
	from, to time.Time
}

type quietTimes struct {
	last  map[string]time.Time // when something was last asked for
	times []quietTime
}

// originKey is what a cache tells answers apart by.
func originKey(path, encoding string) string {
	if strings.HasPrefix(encoding, "gzip") {
		return path + " gzip"
	}
	return path
}

// asked notes a request to a cache, and the time since the one before.
func (q *quietTimes) asked(key string, began, ended time.Time) {
	if last, ok := q.last[key]; ok && began.Sub(last) > quiet {
		q.times = append(q.times, quietTime{key, last, began})
	}
	if began.After(q.last[key]) {
		q.last[key] = began
	}
	q.answered(key, began, ended)
}

// answered notes how long an answer took.
func (q *quietTimes) answered(key string, began, ended time.Time) {
	if ended.Sub(began) > quiet {
		q.times = append(q.times, quietTime{key, began, ended})
	}
}

// checkOrigin checks that the cache asked for each version of a playlist in each encoding once, for each segment once,
// and not more often than each max-age whether there is another version. In and just after a quiet time each of the
// viewers may have been let through, but no more.
func (f *front) checkOrigin(t *testing.T, took time.Duration, requests []originRequest, quiets []quietTime) {
	t.Helper()
	seen := quietTimes{times: slices.Clone(quiets)}
	for _, r := range requests {
		seen.answered(originKey(r.path, r.encoding), r.at, r.answered)
	}
	sent, asked, excused := map[string]int{}, map[string]int{}, map[string]int{}
	versions, segments := map[string]bool{}, map[string]bool{}
	for _, r := range requests {
		key := originKey(r.path, r.encoding)
		isSegment := strings.HasSuffix(r.path, ".ts")
		switch {
		case r.status != http.StatusOK && r.status != http.StatusNotModified:
			t.Errorf("the origin answered %s with %d", r.path, r.status)
		case isSegment:
			segments[r.path] = true
		case r.status == http.StatusOK:
			versions[r.path+" "+r.etag] = true
		}
		if seen.during(key, r.at) {
			excused[key]++
			continue
		}
		if !isSegment {
			asked[key]++
		}
		if r.status == http.StatusOK {
			sent[r.path+" "+r.etag]++
		}
	}
	t.Logf("the origin was asked for %d segments and %d versions of playlists: %v, and in quiet times: %v",
		len(segments), len(versions), asked, excused)
	for what, n := range sent {
		if n > 1 {
			t.Errorf("the origin sent %s to one cache %d times", what, n)
		}
	}
	for what, n := range asked {
		if most := int(took/cdnMaxAge) + 2; n > most {
			t.Errorf("the origin was asked %d times in %v for %s, which may be kept for %v", n, took, what, cdnMaxAge)
		}
	}
	for what, n := range excused {
		if most := seen.most(what); n > most {
			t.Errorf("the origin was asked %d times for %s in quiet times, which allow %d", n, what, most)
		}
	}
	if len(versions) < 6 || len(segments) < 3 {
		t.Errorf("%d versions and %d segments: the load did not go through this cache", len(versions), len(segments))
	}
}

// during reports whether a request at some time may be one of several.
func (q *quietTimes) during(key string, at time.Time) bool {
	return slices.ContainsFunc(q.times, func(x quietTime) bool {
		return x.key == key && at.After(x.from) && at.Before(x.to.Add(aftermath))
	})
}

// most returns how many requests its quiet times allow for something: in each, one from each connection, and those that
// are allowed at any time.
func (q *quietTimes) most(key string) (n int) {
	for _, x := range q.times {
		if x.key == key {
			n += loadConnections + int((x.to.Sub(x.from)+aftermath)/cdnMaxAge) + 1
		}
	}
	return n
}
