package hlscheck

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkMethods checks what is answered to other methods, and to a preflight.
func (q *questioner) checkMethods(r resource) {
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		a := q.ask(method, r.url)
		if a.status != http.StatusMethodNotAllowed {
			q.add("method-allowed", r.url, "%s answers %d, not 405", method, a.status)
			continue
		}
		if allow := list(a.header.Get("Allow")); !slices.Contains(allow, "GET") || !slices.Contains(allow, "HEAD") {
			q.add("allow-missing", r.url, "%s answers 405 with Allow %q", method, a.header.Get("Allow"))
		}
	}
	a := q.ask(http.MethodOptions, r.url, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "range")
	if a.status != http.StatusOK && a.status != http.StatusNoContent {
		q.add("preflight", r.url, "OPTIONS answers %d", a.status)
		return
	}
	methods, headers := a.header.Get("Access-Control-Allow-Methods"), strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
	ranges := headers == "*" || slices.Contains(list(headers), "range")
	if !ranges || !slices.Contains(list(methods), "GET") {
		q.add("preflight", r.url, "a preflight for GET with Range gets methods %q and headers %q", methods, headers)
	}
}

// list splits a header's list.
func list(value string) []string {
	var items []string
	for _, item := range strings.Split(value, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return items
}

// maxUnknownAge is how long a cache may remember that something does not exist.
const maxUnknownAge = 10 * time.Second

// lastNumber is the number that a segment's name counts with.
var lastNumber = regexp.MustCompile(`^(.*?)([0-9]+)([^0-9/]*)$`)

// checkUnknown checks the answers for what does not exist: another stream, a
// segment that never was, and the one that is about to exist.
func (q *questioner) checkUnknown(resources []resource) {
	first, segment := resources[0].url, resources[len(resources)-1].url
	cut := strings.LastIndex(strings.TrimSuffix(first, "/index.m3u8"), "/")
	if strings.HasSuffix(first, "/index.m3u8") {
		q.notFound(first[:cut]+"/no-such-stream/index.m3u8", maxUnknownAge)
	}
	folder := segment[:strings.LastIndex(segment, "/")+1]
	for _, name := range []string{"no-such-segment.ts", "no-such-file", ""} {
		q.notFound(folder+name, maxUnknownAge)
	}
	if m := lastNumber.FindStringSubmatch(segment); m != nil {
		if n, err := strconv.ParseUint(m[2], 10, 63); err == nil {
			next := strconv.FormatUint(n+2, 10)
			next = strings.Repeat("0", max(len(m[2])-len(next), 0)) + next
			q.notFound(m[1]+next+m[3], time.Second)
		}
	}
}

func (q *questioner) notFound(url string, limit time.Duration) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := q.ask(method, url)
		if a.status != http.StatusNotFound {
			q.add("unknown-found", url, "%s answers %d, not 404", method, a.status)
			return
		}
		age, ok := seconds(directives(a.header), "max-age")
		if !ok || age > limit {
			q.add("not-found-lifetime", url, "%s answers 404 with Cache-Control %q; a max-age of at most %v is needed",
				method, a.header.Get("Cache-Control"), limit)
		}
	}
}
