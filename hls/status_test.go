package hls

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTheAudienceIsWhoAskedLately(t *testing.T) {
	var a audience
	now := time.Now()
	ask := func(remote, agent string, at time.Time) {
		r := httptest.NewRequest("GET", "/live/test/00/media.m3u8", nil)
		r.RemoteAddr = remote
		r.Header.Set("User-Agent", agent)
		a.note(r, at, time.Minute)
	}
	ask("192.0.2.1:1000", "hls.js", now)
	ask("192.0.2.1:1001", "hls.js", now) // the same player on another connection
	ask("192.0.2.1:1002", "mpv", now)
	ask("192.0.2.2:1000", "hls.js", now.Add(30*time.Second))
	if n := a.count(now.Add(30*time.Second), time.Minute); n != 3 {
		t.Errorf("%d clients, want 3", n)
	}
	if n := a.count(now.Add(time.Minute), time.Minute); n != 1 {
		t.Errorf("%d clients a minute later, want 1", n)
	}
}

func TestTheAudienceIsBounded(t *testing.T) {
	var a audience
	now := time.Now()
	for i := range maxAudience + 100 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", strconv.Itoa(i))
		a.note(r, now, time.Minute)
	}
	if n := a.count(now, time.Minute); n != maxAudience {
		t.Errorf("%d clients", n)
	}
}

func TestCountedAnswersKeepTheirFastWay(t *testing.T) {
	s := NewServer(Config{})
	w := httptest.NewRecorder()
	counted := s.count(w).(*counted)
	if _, err := counted.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if _, err := counted.ReadFrom(strings.NewReader("defg")); err != nil {
		t.Fatal(err)
	}
	if got := s.Metrics().BytesSent.Load(); got != 7 || w.Body.String() != "abcdefg" {
		t.Errorf("counted %d bytes of %q", got, w.Body)
	}
}
