package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/headwater-live/headwater/remux"
)

// Addresses are where the other listeners are bound, host:port, "" for one that is off.
type Addresses struct {
	HTTP, HTTPS, RTMP, RTMPS string
	// PublicURL is how viewers reach the public listener, if that is known; it has no slash at
	// its end.
	PublicURL string
	// HLS, FLV and Watch say which outputs the public listener has.
	HLS, FLV, TS, Watch bool
}

// addressInfo is where everything is, as whoever asks can reach it.
type addressInfo struct {
	// Public is the base URL of the public listener, "" if it is off; Edge that of this very
	// process.
	Public  string `json:"public"`
	Edge    string `json:"edge"`
	Publish string `json:"publish"`
}

// seenBy returns the addresses for whoever made a request: a listener that is bound to every address
// is reached at the one that the request was sent to.
func (a *Addresses) seenBy(r *http.Request) addressInfo {
	var info addressInfo
	host := hostOf(r)
	switch {
	case a.HTTP != "":
		info.Edge = "http://" + reachable(a.HTTP, host)
	case a.HTTPS != "":
		info.Edge = "https://" + reachable(a.HTTPS, host)
	}
	info.Public = info.Edge
	if a.PublicURL != "" {
		info.Public = a.PublicURL
	}
	switch {
	case a.RTMP != "":
		info.Publish = "rtmp://" + strings.TrimSuffix(reachable(a.RTMP, host), ":1935")
	case a.RTMPS != "":
		info.Publish = "rtmps://" + reachable(a.RTMPS, host)
	}
	return info
}

// hostOf returns the host that a request was sent to, without its port.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "" || strings.ContainsFunc(host, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(".-_:", c)
	}) {
		return "127.0.0.1"
	}
	return host
}

// reachable returns a listener's host:port with a host that can be reached.
func reachable(listener, host string) string {
	h, port, err := net.SplitHostPort(listener)
	if err != nil {
		return listener
	}
	if ip, err := netip.ParseAddr(h); h != "" && (err != nil || !ip.IsUnspecified()) {
		host = h
	}
	return net.JoinHostPort(host, port)
}

// output is one way to get a stream out.
type output struct {
	Protocol string `json:"protocol"`
	URL      string `json:"url"`
}

// outputs lists the ways to get a stream out.
func (a *Addresses) outputs(r *http.Request, name remux.StreamName) []output {
	at := a.seenBy(r)
	list := []output{}
	add := func(on bool, protocol, base, path string) {
		if on && base != "" {
			list = append(list, output{protocol, base + path})
		}
	}
	path := "/" + string(name)
	add(a.Watch, "watch", at.Public, path)
	add(a.HLS, "hls", at.Public, path+"/index.m3u8")
	add(a.FLV, "flv", at.Public, path+".flv")
	add(a.TS, "ts", at.Public, path+".ts")
	add(true, "rtmp", at.Publish, path)
	return list
}

// console answers with the console, which needs no token: it asks for the one that the API wants.
func (h *handler) console(w http.ResponseWriter, r *http.Request) {
	h.config.Console.ServeConsole(w, r)
}
