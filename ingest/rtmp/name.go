package rtmp

import "strings"

// Redact returns a stream name, app or URL without what may be secret in it: the
// query, of which only the question mark remains, and user information. Use it
// for every name that goes into a log or an error.
func Redact(name string) string {
	if path, _, found := strings.Cut(name, "?"); found {
		name = path + "?"
	}
	if scheme, rest, found := strings.Cut(name, "://"); found {
		host, path, _ := strings.Cut(rest, "/")
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			host = host[at+1:]
		}
		name = scheme + "://" + host
		if len(path) > 0 || strings.HasSuffix(rest, "/") {
			name += "/" + path
		}
	}
	return name
}

// redactText redacts every word of a text that a peer sent.
func redactText(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = Redact(w)
	}
	return strings.Join(words, " ")
}

// address is what connect and publish or play say about a stream together.
type address struct{ app, name, query string }

// resolve finds the app, the name and the query of a stream. The query may stand
// in any of the three, or in several of them, and encoders with one field for
// the whole URL put the name into the app:
//
//	connect app "live?token=x"   publish "test"
//	connect app "live"           publish "test?token=x"
//	connect app "live/test"      publish ""
//	connect app ""               publish "live/test"
func resolve(app, tcURL, name string) address {
	var a address
	var queries [3]string
	a.name, queries[0], _ = strings.Cut(name, "?")
	a.app, queries[1], _ = strings.Cut(app, "?")
	tcPath, tcQuery, _ := strings.Cut(tcURL, "?")
	queries[2] = tcQuery
	a.app, a.name = strings.Trim(a.app, "/"), strings.Trim(a.name, "/")
	if a.app == "" {
		if _, rest, found := strings.Cut(tcPath, "://"); found {
			_, path, _ := strings.Cut(rest, "/")
			a.app = strings.Trim(path, "/")
		}
	}
	if cut := strings.LastIndexByte(a.app, '/'); a.name == "" && cut >= 0 {
		a.app, a.name = a.app[:cut], a.app[cut+1:]
	}
	if a.app == "" {
		if app, name, found := strings.Cut(a.name, "/"); found {
			a.app, a.name = app, name
		}
	}
	for i, q := range queries {
		if q == "" || (i > 0 && q == queries[0]) || (i > 1 && q == queries[1]) {
			continue
		}
		if a.query != "" {
			a.query += "&"
		}
		a.query += q
	}
	return a
}
