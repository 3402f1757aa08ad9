package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// proxyHeaders are what proxies add to a request that they pass on (RFC 7239, RFC 9110 section 7.6.3, RFC 8586, and what
// was usual before).
var proxyHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via", "Cdn-Loop"}

// relayed reports whether a request that comes from this machine was passed on for somebody else: by a proxy, as far as it
// says so, or by a browser for a web page that is not this machine's. That page's name may have been made to point here
// (DNS rebinding), which Host tells.
func relayed(r *http.Request) bool {
	for _, name := range proxyHeaders {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	if !isLocalHost(r.Host) {
		return true
	}
	if origin, asked := r.Header["Origin"]; asked {
		u, err := url.Parse(strings.Join(origin, ","))
		return err != nil || !isLocalHost(u.Host)
	}
	return r.Header.Get("Sec-Fetch-Site") == "cross-site"
}

// isLocalHost reports whether a host, with a port or not, is this machine under a name that nobody else can have.
func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, section 6.3
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
