package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
)

// servedSocket returns this process's end of a connection, by the address of the other end.
func servedSocket(t *testing.T, client netip.AddrPort) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range open {
		fd, err := strconv.Atoi(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := syscall.Getpeername(fd)
		if v4, ok := peer.(*syscall.SockaddrInet4); err == nil && ok && netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port)) == client {
			return fd
		}
	}
	t.Fatalf("no connection from %v", client)
	return 0
}

// Whatever a viewer speaks, the kernel keeps little for it, and finds out when it has vanished.
func TestEveryViewersSocketIsTuned(t *testing.T) {
	s, _ := secureServer(t)
	publishSample(t, s, "live/x", 1)
	for name, url := range map[string]string{
		"HTTP/1.1": s.edgeURL("/live/x.flv"), "HTTP/2.0": "https://" + s.listeners.addr("https") + "/live/x.flv",
	} {
		transport := &http.Transport{TLSClientConfig: anyCertificate(0), ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		var client netip.AddrPort
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			conn := info.Conn
			if secure, ok := conn.(*tls.Conn); ok {
				conn = secure.NetConn()
			}
			client = conn.LocalAddr().(*net.TCPAddr).AddrPort()
		}})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 13)); err != nil || res.Proto != name {
			t.Fatalf("%s: %s, %v", name, res.Proto, err)
		}
		fd := servedSocket(t, client)
		for option, at := range map[string]int{"TCP_NOTSENT_LOWAT": 25, "TCP_USER_TIMEOUT": 18} {
			if v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, at); err != nil || v <= 0 {
				t.Errorf("%s: %s is %d (%v)", name, option, v, err)
			}
		}
		_ = res.Body.Close()
	}
}
