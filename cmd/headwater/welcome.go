package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// welcomeInfo is what a newcomer has to be told. Addresses are host:port as they were bound, "" is off.
type welcomeInfo struct {
	version      string
	host         string // where other machines find this one, for listeners on every address
	loopbackOnly bool   // publishing is refused from elsewhere

	rtmp, rtmps, http, https, admin string
	hls, flv, watch                 bool
}

// welcomeStream is the name that the examples use.
const welcomeStream = "test"

// welcome writes where to publish and where to watch.
func welcome(w io.Writer, info welcomeInfo) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Headwater %s is ready.\n", info.version)
	line := func(what, where string) { fmt.Fprintf(&b, "  %-15s  %s\n", what, where) }

	publishHost := info.host
	heading := "Publish"
	if info.loopbackOnly {
		publishHost = "127.0.0.1"
		heading = "Publish from this machine (from others with --auth.publish=open)"
	}
	fmt.Fprintf(&b, "\n%s\n", heading)
	server := urlOf("rtmp", info.rtmp, "1935", publishHost)
	secure := urlOf("rtmps", info.rtmps, "443", publishHost)
	if server == "" {
		server, secure = secure, ""
	}
	line("OBS server", server+"/live")
	if secure != "" {
		line("  or over TLS", secure+"/live")
	}
	line("OBS stream key", welcomeStream)
	line("ffmpeg", "ffmpeg -re -i FILE -c copy -f flv "+server+"/live/"+welcomeStream)

	web := urlOf("http", info.http, "80", info.host)
	if web == "" {
		web = urlOf("https", info.https, "443", info.host)
	}
	if web != "" && (info.hls || info.flv) {
		b.WriteString("\nWatch\n")
		if info.watch {
			line("In a browser", web+"/live/"+welcomeStream)
		}
		if info.hls {
			line("HLS", web+"/live/"+welcomeStream+"/index.m3u8")
		}
		if info.flv {
			line("HTTP-FLV", web+"/live/"+welcomeStream+".flv")
		}
	}
	if admin := urlOf("http", info.admin, "80", info.host); admin != "" {
		b.WriteString("\nManage\n")
		line("Console", admin+"/")
		line("API", admin+"/api/v1/streams")
		line("Metrics", admin+"/metrics")
	}
	b.WriteString("\n")
	_, err := w.Write(b.Bytes())
	return err
}

// urlOf makes scheme://host[:port] of a bound address, with host in place of "every address". It is "" for a
// listener that is off.
func urlOf(scheme, addr, defaultPort, host string) string {
	bound, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(bound); bound != "" && (err != nil || !ip.IsUnspecified()) {
		host = bound
	}
	switch {
	case port != defaultPort:
		host = net.JoinHostPort(host, port)
	case net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil:
		host = "[" + host + "]"
	}
	return scheme + "://" + host
}

// reachableHost is the address at which other machines most likely find this one, or localhost when there
// is no network.
func reachableHost() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "localhost"
	}
	return chooseHost(addrs)
}

// chooseHost takes the first IPv4 address that is not loopback, for people type these; else IPv6.
func chooseHost(addrs []net.Addr) string {
	choice := ""
	for _, a := range addrs {
		network, ok := a.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue // loopback, link-local
		}
		if network.IP.To4() != nil {
			return network.IP.String()
		}
		if choice == "" {
			choice = network.IP.String()
		}
	}
	if choice == "" {
		return "localhost"
	}
	return choice
}
