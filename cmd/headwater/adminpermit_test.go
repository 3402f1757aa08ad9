package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// opened is an answer of the private listener that goes on.
type opened struct {
	what string
	done chan struct{} // closed at its end
}

// ended waits for the end.
func (o *opened) ended(t *testing.T) {
	t.Helper()
	select {
	case <-o.done:
	case <-time.After(patience):
		t.Errorf("%s goes on", o.what)
	}
}

func (o *opened) goesOn(t *testing.T) {
	t.Helper()
	select {
	case <-o.done:
		t.Errorf("%s has ended", o.what)
	default:
	}
}

// openPrivate opens what goes on at the private listener, with a token; "" is none.
func openPrivate(t *testing.T, r *reloadable, token string) []*opened {
	t.Helper()
	var all []*opened
	for _, path := range []string{"/api/v1/events", "/preview/live/test.flv"} {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.adminURL(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", path, resp, err)
		}
		o := &opened{path, make(chan struct{})}
		if _, err := io.ReadFull(resp.Body, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(o.done)
			_, _ = io.Copy(io.Discard, resp.Body) // until its end
			_ = resp.Body.Close()
		}()
		all = append(all, o)
	}
	return all
}

func TestWhatAnAdminTokenLetInEndsWithIt(t *testing.T) {
	const first, second = "the-first-admin-token", "the-second-admin-token"
	r := newReloadable(t, "admin.token: "+first+"\n")
	publishSample(t, r.server, "live/test", 1)
	take := func(lines string) {
		t.Helper()
		if !r.reload(lines) {
			t.Fatal(r.log.String())
		}
	}
	all := openPrivate(t, r, first)
	take("admin.token: " + first + "\nhls.window: 9\n")
	for _, o := range all {
		o.goesOn(t)
	}
	take("admin.token: " + second + "\n")
	for _, o := range all {
		o.ended(t)
	}
	all = openPrivate(t, r, second)
	take("") // whoever had the token may be elsewhere
	for _, o := range all {
		o.ended(t)
	}
	all = openPrivate(t, r, "")
	take("admin.token: " + first + "\n")
	for _, o := range all {
		o.ended(t)
	}
	all = openPrivate(t, r, first)
	r.base = strings.Replace(r.base, "admin.addr: 127.0.0.1:0", "admin.addr: localhost:0", 1)
	take("admin.token: " + first + "\n")
	for _, o := range all {
		o.ended(t)
	}
	openPrivate(t, r, first)
}

// TestASegmentOnItsWayStopsWithTheAdminToken reads nothing of a segment until the token has changed.
func TestASegmentOnItsWayStopsWithTheAdminToken(t *testing.T) {
	const token = "the-first-admin-token"
	r := newReloadable(t, "admin.token: "+token+"\nhls.segment: 1m\nrtmp.max_message: 16MiB\n")
	p, next := publishSample(t, r.server, "live/test", 1)
	// More than all buffers on the way can hold.
	const frames = 24
	frame := bytes.Repeat([]byte{0x55}, 1<<20)
	copy(frame, []byte{0x27, 1, 0, 0, 0}) // AVC, not a keyframe, and one NALU of the rest
	binary.BigEndian.PutUint32(frame[5:], uint32(len(frame)-9))
	frame[9] = 0x41
	for i := range uint32(frames) {
		if err := p.Write(remux.Message{Type: flvtag.Video, Timestamp: next + 40*i, Payload: bytes.Clone(frame)}); err != nil {
			t.Fatal(err)
		}
	}
	p.End(remux.EndUnpublished)
	authorization := []string{"Authorization", "Bearer " + token}
	path := "/preview/live/test/"
	segment := ""
	eventually(t, "the segment is listed", func() bool {
		code, index := status(t, r.adminURL(path+"index.m3u8"), authorization...)
		if code != http.StatusOK {
			return false
		}
		media := path + lastLine(index)
		_, playlist := status(t, r.adminURL(media), authorization...)
		segment = media[:strings.LastIndexByte(media, '/')+1] + lastLine(playlist)
		return strings.Count(playlist, "#EXTINF") == 2
	})
	conn, err := net.Dial("tcp", r.listeners.addr("admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test's own
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+segment+" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if !r.reload("admin.token: the-second-admin-token\nhls.segment: 1m\n") {
		t.Fatal(r.log.String())
	}
	eventually(t, "nobody is connected any more", func() bool {
		all, _, _ := r.adminLimiter.Counts()
		return all == 0
	})
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	n, _ := io.Copy(io.Discard, conn)
	if n >= frames<<20 {
		t.Errorf("%d bytes came: the whole segment", n)
	}
}

func TestConnectionsOfThePrivateListenerAreBounded(t *testing.T) {
	for reason, lines := range map[string]string{
		"admin-too-many-connections":              "admin.max_connections: 2\nadmin.max_connections_per_ip: 2\n",
		"admin-too-many-connections-from-address": "admin.max_connections: 20\nadmin.max_connections_per_ip: 2\n",
		"admin-too-many-handshakes-from-address":  "admin.max_connections: 8\nadmin.max_connections_per_ip: 8\n",
	} {
		t.Run(reason, func(t *testing.T) {
			r := newReloadable(t, lines)
			var from net.Dialer
			if reason == "admin-too-many-connections" { // that of an address is said first
				from.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
			}
			var there []net.Conn
			for range 2 {
				conn, err := from.Dial("tcp", r.listeners.addr("admin"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close() //nolint:errcheck // a test's own
				there = append(there, conn)
				if !strings.Contains(reason, "handshakes") {
					if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
						t.Fatal(err)
					}
				}
			}
			eventually(t, "they are counted", func() bool { all, _, _ := r.adminLimiter.Counts(); return all == 2 })
			if code, _ := status(t, r.adminURL("/healthz")); code != 0 {
				t.Errorf("one too many is answered with %d", code)
			}
			if n := r.refusals()[reason]; n == 0 {
				t.Errorf("not counted: %v", r.refusals())
			}
			for _, conn := range there {
				_ = conn.Close()
			}
			eventually(t, "there is room again", func() bool { code, _ := status(t, r.adminURL("/healthz")); return code == 200 })
			if _, body := status(t, r.adminURL("/metrics")); !strings.Contains(body, `headwater_refusals_total{reason="`+reason+`"} `) {
				t.Error("the metrics do not say so")
			}
		})
	}
}

func TestWrongAdminTokensAreCountedAcrossReloads(t *testing.T) {
	r := newReloadable(t, "admin.token: the-first-admin-token\n")
	for range 2 {
		if code, _ := status(t, r.adminURL("/api/v1/server"), "Authorization", "Bearer guess"); code != http.StatusUnauthorized {
			t.Errorf("a wrong token is answered with %d", code)
		}
		if !r.reload("admin.token: the-second-admin-token\n") {
			t.Fatal(r.log.String())
		}
	}
	if code, _ := status(t, r.adminURL("/api/v1/server")); code != http.StatusUnauthorized {
		t.Errorf("no token is answered with %d", code)
	}
	_, metrics := status(t, r.adminURL("/metrics"), "Authorization", "Bearer the-second-admin-token")
	for _, line := range []string{`{reason="admin-wrong-token"} 2`, `{reason="admin-no-token"} 1`} {
		if !strings.Contains(metrics, "\nheadwater_refusals_total"+line+"\n") {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

// TestAnAdminTokenIsReadAgainWhenItsFileChanges, as other secrets are, wherever that is.
func TestAnAdminTokenIsReadAgainWhenItsFileChanges(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "token")
	replaceFile(t, first, []byte("the-first-admin-token\n"))
	replaceFile(t, second, []byte("the-second-admin-token\n"))
	r := newReloadable(t, "admin.token_file: "+first+"\n")
	publishSample(t, r.server, "live/test", 1)
	taken := func(token string) func() bool {
		return func() bool {
			code, _ := status(t, r.adminURL("/api/v1/server"), "Authorization", "Bearer "+token)
			return code == http.StatusOK
		}
	}
	all := openPrivate(t, r, "the-first-admin-token")
	replaceFile(t, first, []byte("the-third-admin-token\n"))
	eventually(t, "the new token counts", taken("the-third-admin-token"))
	if taken("the-first-admin-token")() {
		t.Error("the old one counts still")
	}
	for _, o := range all {
		o.ended(t)
	}
	if !r.reload("admin.token_file: " + second + "\n") {
		t.Fatal(r.log.String())
	}
	eventually(t, "the token of the other file counts", taken("the-second-admin-token"))
	replaceFile(t, second, []byte("the-fourth-admin-token\n"))
	eventually(t, "a new one in the other file counts", taken("the-fourth-admin-token"))
}

func TestPagesOfOtherSitesReadNoRefusalOfThePrivateListener(t *testing.T) {
	r := newReloadable(t, "")
	resp, err := http.Get(r.adminURL("/" + strings.Repeat("x", 64<<10)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || resp.Header.Get("Access-Control-Allow-Origin") != "" ||
		resp.Header.Get("Timing-Allow-Origin") != "" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s with %v", resp.Status, resp.Header)
	}
}
