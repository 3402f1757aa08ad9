package edge

import (
	"net/url"
	"strings"

	"github.com/headwater-live/headwater/remux"
)

// redact takes out of an entry what may be somebody's stream key: the name of a stream that there is not, and was not
// when it was asked for.
func (rec *record) redact() {
	e := rec.handler
	if e.Exists == nil {
		return
	}
	if rec.entry.Referer != "" {
		rec.entry.Referer = e.shownReferer(rec.entry.Referer)
	}
	if rec.existed {
		return
	}
	rec.entry.Path = e.shownPath(rec.entry.Path)
	if name := remux.StreamName(rec.entry.Stream); name != "" && !e.Exists(name) {
		rec.entry.Stream = name.Redacted()
	}
}

// shownPath returns a path as the log may show it. Of one that means nothing all parts may be a key: one that was pasted
// beside its place.
func (e *Handler) shownPath(path string) string {
	before, rest, name := named(path)
	switch {
	case name != "" && e.Exists(name):
		return path
	case name != "":
		return before + "/" + name.Redacted() + rest
	case strings.HasPrefix(path, webPrefix):
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = remux.RedactPart(part)
	}
	return strings.Join(parts, "/")
}

// shownReferer returns the address of a page as the log may show it: it may be the page that plays a stream.
func (e *Handler) shownReferer(referer string) string {
	u, err := url.Parse(referer)
	if err != nil {
		return "" // and nothing of it would be shown
	}
	before, rest, name := named(u.Path)
	if name == "" || e.Exists(name) {
		return referer
	}
	u.Path, u.RawPath = before+"/"+name.Redacted()+rest, ""
	return u.String()
}

// named cuts a path in three, the name of a stream being in the middle, after a slash. The name is "" if the path has none.
func named(path string) (before, rest string, name remux.StreamName) {
	_, at := cutToken(path)
	p, ok := parsePath(at)
	if ok {
		name = p.name
	} else if app, last, found := strings.Cut(strings.TrimPrefix(at, "/"), "/"); found && at[0] == '/' { // the page that plays it
		var err error
		if name, err = remux.ParseStreamName(app, last); err != nil {
			return "", "", ""
		}
	}
	if name == "" {
		return "", "", ""
	}
	return path[:len(path)-len(at)], at[1+len(name):], name
}
