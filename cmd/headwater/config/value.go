package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// value reads and writes one field of a Config as text. What get returns, set takes and means the same.
type value struct {
	kind string // for help texts: "address", "duration", "dir|memory"
	set  func(text string) error
	get  func() string
}

// address is a host:port to listen on, or empty for none. The host may be empty (every address), an IP
// address or a name; the port is a number, 0 for one that the kernel chooses.
func address(p *string) value {
	set := func(s string) error {
		if s == "" {
			*p = ""
			return nil
		}
		if isDigits(s) {
			return fmt.Errorf("%q is not host:port (write %q)", s, ":"+s)
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return fmt.Errorf("%q is not host:port", s)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || !isDigits(port) {
			return fmt.Errorf("%q has no port number from 0 to 65535", s)
		} else if port != strconv.FormatUint(n, 10) {
			return fmt.Errorf("%q has a port number with leading zeros", s)
		}
		if !isHost(host) {
			return fmt.Errorf("%q has neither an IP address nor a host name before the port", s)
		}
		*p = s
		return nil
	}
	return value{kind: "address", set: set, get: func() string { return *p }}
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isHost accepts what net.Listen can bind to: nothing, an IP address with or without a zone, a host name.
func isHost(host string) bool {
	if host == "" {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	// A name of digits and dots alone is an address with a mistake in it.
	if strings.Trim(host, "0123456789.") == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !isHostLabel(label) {
			return false
		}
	}
	return true
}

// isHostLabel accepts a label of RFC 1123, section 2.1, and the underscore that container names have.
func isHostLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		default:
			return false
		}
	}
	return true
}

func duration(p *time.Duration, low, high time.Duration) value {
	set := func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil {
			if _, err := strconv.ParseFloat(s, 64); err == nil {
				return fmt.Errorf("%q has no unit (write %q)", s, s+"s")
			}
			return fmt.Errorf("%q is not a duration, such as 2s, 150ms or 1m30s", s)
		}
		if d < low || d > high {
			return fmt.Errorf("%s is not between %s and %s", s, formatDuration(low), formatDuration(high))
		}
		*p = d
		return nil
	}
	return value{kind: "duration", set: set, get: func() string { return formatDuration(*p) }}
}

// formatDuration is Duration.String without its zero parts: 1m0s is 1m.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units are the suffixes of a size, the ones that get prefers first.
var units = []struct {
	name  string
	bytes int
}{
	{"GiB", 1 << 30}, {"MiB", mib}, {"KiB", kib},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
}

// size is a whole number of bytes: 64KiB, 8MiB, 500KB, or a bare number.
func size(p *int, low, high int) value {
	set := func(s string) error {
		n, err := parseSize(s)
		if err != nil {
			return err
		}
		if n < low || n > high {
			return fmt.Errorf("%s is not between %s and %s", s, formatSize(low), formatSize(high))
		}
		*p = n
		return nil
	}
	return value{kind: "size", set: set, get: func() string { return formatSize(*p) }}
}

func parseSize(s string) (int, error) {
	digits, unit := s, 1
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || !isDigits(digits) || n > math.MaxInt/unit {
		return 0, fmt.Errorf("%q is not a size in bytes, such as 64KiB or 8MiB", s)
	}
	return n * unit, nil
}

func formatSize(n int) string {
	for _, u := range units[:3] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return strconv.Itoa(n) + "B"
}

func count(p *int, low, high int) value {
	set := func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		if n < low || n > high {
			return fmt.Errorf("%d is not between %d and %d", n, low, high)
		}
		*p = n
		return nil
	}
	return value{kind: "number", set: set, get: func() string { return strconv.Itoa(*p) }}
}

func boolean(p *bool) value {
	set := func(s string) error {
		switch s {
		case "true", "yes", "on", "1":
			*p = true
		case "false", "no", "off", "0":
			*p = false
		default:
			return fmt.Errorf("%q is neither true nor false", s)
		}
		return nil
	}
	return value{kind: "boolean", set: set, get: func() string { return strconv.FormatBool(*p) }}
}

// text is taken as it stands, except that no setting has a line break or another control character in it:
// such a value is a file's content pasted where its name belongs. Its errors never quote it.
func text(p *string, kind string) value {
	set := func(s string) error {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return errors.New("has a control character in it")
		}
		*p = s
		return nil
	}
	return value{kind: kind, set: set, get: func() string { return *p }}
}

// webAddress is an http or https URL, or empty. It may hold a password or a key: errors never quote it.
func webAddress(p *string) value {
	set := func(s string) error {
		if s == "" {
			*p = ""
			return nil
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return errors.New("is not a URL that begins with http:// or https:// and a host")
		}
		*p = s
		return nil
	}
	return value{kind: "URL", set: set, get: func() string { return *p }}
}

// baseURL is an http or https URL without a query, or empty. What set takes has no slash at its end.
func baseURL(p *string) value {
	set := func(s string) error {
		if s == "" {
			*p = ""
			return nil
		}
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("is not a URL such as https://cdn.example.com, without user and query")
		}
		*p = strings.TrimRight(s, "/")
		return nil
	}
	return value{kind: "URL", set: set, get: func() string { return *p }}
}

func choice[T ~string](p *T, options ...T) value {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = string(o)
	}
	set := func(s string) error {
		for _, o := range options {
			if s == string(o) {
				*p = o
				return nil
			}
		}
		return fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
	}
	return value{kind: strings.Join(names, "|"), set: set, get: func() string { return string(*p) }}
}

func level(p *slog.Level) value {
	var name string
	options := []string{"debug", "info", "warn", "error"}
	v := choice(&name, options...)
	set := func(s string) error {
		if err := v.set(s); err != nil {
			return err
		}
		return p.UnmarshalText([]byte(s))
	}
	return value{kind: v.kind, set: set, get: func() string { return strings.ToLower(p.String()) }}
}
