package rtmp

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// target is what an RTMP URL says:
//
//	rtmp[s]://HOST[:PORT]/APP/NAME[?QUERY]
//
// The app is everything up to the last slash; the query goes with the name, as
// encoders do it.
type target struct {
	secure bool
	host   string // without port, for TLS
	addr   string // host:port
	app    string
	name   string // with query
	tcURL  string
}

var errURL = errors.New("want rtmp[s]://HOST[:PORT]/APP/NAME")

func parseURL(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" { // the error would quote the URL
		return target{}, fmt.Errorf("parse RTMP URL: %w", errURL)
	}
	t := target{host: u.Hostname()}
	port := "1935"
	switch u.Scheme {
	case "rtmp":
	case "rtmps":
		t.secure, port = true, "443"
	default:
		return target{}, fmt.Errorf("parse RTMP URL: %w", errURL)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	t.addr = net.JoinHostPort(t.host, port)
	path := strings.Trim(u.EscapedPath(), "/")
	cut := strings.LastIndexByte(path, '/')
	if cut < 1 {
		return target{}, fmt.Errorf("parse RTMP URL: %w", errURL)
	}
	t.app, t.name = path[:cut], path[cut+1:]
	if u.RawQuery != "" {
		t.name += "?" + u.RawQuery
	}
	t.tcURL = u.Scheme + "://" + u.Host + "/" + t.app
	return t, nil
}
