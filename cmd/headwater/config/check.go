package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Validate checks a configuration as a whole: every value against its range, and the values against each
// other. What [Load] returns without error is valid; this is for configurations made in code. The error is a
// [Faults].
func (c Config) Validate() error {
	var faults Faults
	for _, s := range table {
		v := s.bind(&c)
		if err := v.set(v.get()); err != nil {
			faults = append(faults, Fault{Key: s.key, Origin: c.Origin(s.key), Err: err})
		}
	}
	return append(faults, c.check()...).asError()
}

// adder notes a fault of a key, and which other key it is about as well, if any.
type adder func(key, other, format string, args ...any)

// check finds what is wrong with values that are each right on their own.
func (c Config) check() Faults {
	var faults Faults
	add := func(key, other, format string, args ...any) {
		faults = append(faults, Fault{Key: key, Origin: c.Origin(key), Err: fmt.Errorf(format, args...), other: other})
	}
	checkTLS(c.RTMPS, "rtmps", add)
	checkTLS(c.HTTPS, "https", add)
	c.checkPorts(add)
	checkHooks(c.Hooks, add)
	if c.RTMP.Addr == "" && c.RTMPS.Addr == "" {
		add("rtmp.addr", "rtmps.addr", "is off, and so is rtmps.addr: nobody could publish")
	}
	c.checkAdmin(add)
	c.checkAuth(add)
	if c.Storage.Kind == StorageDir && c.Storage.Dir == "" {
		add("storage.dir", "storage.kind", "is empty, but storage.kind is %s", StorageDir)
	}
	if c.HLS.SegmentMaxAge%time.Second != 0 {
		add("hls.segment_max_age", "", "%s is not a whole number of seconds", c.HLS.SegmentMaxAge)
	}
	if c.RTMP.MaxConnectionsPerIP > c.RTMP.MaxConnections {
		add("rtmp.max_connections_per_ip", "rtmp.max_connections", "%d is more than rtmp.max_connections (%d)",
			c.RTMP.MaxConnectionsPerIP, c.RTMP.MaxConnections)
	}
	if c.RTMP.MaxPartial < c.RTMP.MaxMessage {
		add("rtmp.max_partial", "rtmp.max_message", "has no room for a message of rtmp.max_message")
	}
	if c.HTTP.MaxConnectionsPerIP > c.HTTP.MaxConnections {
		add("http.max_connections_per_ip", "http.max_connections", "%d is more than http.max_connections (%d)",
			c.HTTP.MaxConnectionsPerIP, c.HTTP.MaxConnections)
	}
	if c.Admin.MaxConnectionsPerIP > c.Admin.MaxConnections {
		add("admin.max_connections_per_ip", "admin.max_connections", "%d is more than admin.max_connections (%d)",
			c.Admin.MaxConnectionsPerIP, c.Admin.MaxConnections)
	}
	return faults
}

// checkTLS reads the certificate of a listener that is on: a server that starts without it would be found
// out by its users.
func checkTLS(l TLSListener, group string, add adder) {
	if !l.Enabled() {
		return
	}
	if l.Cert == "" {
		add(group+".cert", group+".addr", "is required because %s.addr is set", group)
	}
	if l.Key == "" {
		add(group+".key", group+".addr", "is required because %s.addr is set", group)
	}
	if l.Cert == "" || l.Key == "" {
		return
	}
	if _, err := tls.LoadX509KeyPair(l.Cert, l.Key); err != nil {
		// A pair that does not fit together is reported at the certificate; a file that cannot be opened names itself.
		add(group+".cert", group+".key", "certificate and key: %w", err)
	}
}

// checkPorts finds listeners that would take each other's port.
func (c Config) checkPorts(add adder) {
	listeners := []struct{ key, addr string }{
		{"rtmp.addr", c.RTMP.Addr}, {"rtmps.addr", c.RTMPS.Addr},
		{"http.addr", c.HTTP.Addr}, {"https.addr", c.HTTPS.Addr}, {"admin.addr", c.Admin.Addr},
	}
	for i, one := range listeners {
		for _, earlier := range listeners[:i] {
			if overlap(earlier.addr, one.addr) {
				add(one.key, earlier.key, "%s is taken by %s (%s)", one.addr, earlier.key, earlier.addr)
			}
		}
	}
}

// overlap says whether two listeners want the same port of the same address.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errors.Join(errA, errB) != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEvery(hostA) || isEvery(hostB)
}

func isEvery(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
