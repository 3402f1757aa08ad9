package main

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/crowd"
	"github.com/headwater-live/headwater/edge"
)

// receiver is a server that is passed one socket, named http, by another process or by systemd.
func receiver(t *testing.T, before *systemd.Before, setting string) (s *server, sockets systemd.Sockets, at string, said *bytes.Buffer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sockets = systemd.Sockets{"http": l}
	t.Cleanup(func() {
		sockets.Close()
		s.listeners.close()
	})
	said = &bytes.Buffer{}
	s = &server{logger: slog.New(slog.NewTextHandler(said, nil)), before: before, limiter: edge.NewLimiter("http", crowd.Limits{})}
	cfg := config.Default()
	cfg.RTMP.Addr, cfg.Admin.Addr, cfg.HTTP.Addr = "", "", strings.ReplaceAll(setting, "SAME", l.Addr().String())
	s.running.Store(&cfg)
	return s, sockets, l.Addr().String(), said
}

func TestASocketOfTheProcessBeforeIsUsedOnlyWhereItsSettingLies(t *testing.T) {
	handedOver := &systemd.Before{}
	for _, test := range []struct {
		what, setting string
		before        *systemd.Before
		same, others  bool
		says          string
	}{
		{"the same address", "SAME", handedOver, true, false, ""},
		{"any port", "127.0.0.1:0", handedOver, true, false, ""},
		{"another address", "127.0.0.2:0", handedOver, false, false, `msg="listener changed" listener=http`},
		{"systemd, the same address", "SAME", nil, true, true, ""},
		{"systemd, another address", "127.0.0.2:0", nil, true, true, "lies elsewhere than its setting says"},
	} {
		s, sockets, at, said := receiver(t, test.before, test.setting)
		if err := s.listen(sockets); err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		if is := s.listeners.addr("http"); (is == at) != test.same {
			t.Errorf("%s: it listens on %s, and was passed %s", test.what, is, at)
		}
		if s.listeners.passed("http.addr") != test.others {
			t.Errorf("%s: who has bound it is not known", test.what)
		}
		if test.says == "" && said.Len() > 0 || !strings.Contains(said.String(), test.says) {
			t.Errorf("%s: it says %q", test.what, said)
		}
		if !test.same {
			if l, err := net.Listen("tcp", at); err != nil {
				t.Errorf("%s: the old socket is still bound: %v", test.what, err)
			} else {
				_ = l.Close()
			}
		}
	}
}

func TestAListenerThatIsOffLetsGoOfItsSocketUnlessSystemdHasBoundIt(t *testing.T) {
	s, sockets, _, _ := receiver(t, &systemd.Before{}, "")
	if err := s.listen(sockets); err != nil {
		t.Errorf("turned off since the process before bound it: %v", err)
	}
	s, sockets, _, _ = receiver(t, nil, "")
	if err := s.listen(sockets); err == nil || !strings.Contains(err.Error(), "http.addr is off, but a socket was passed for it") {
		t.Errorf("a socket unit for a listener that is off: %v", err)
	}
}

func TestWhereASocketLies(t *testing.T) {
	all6, all4 := &net.TCPAddr{IP: net.IPv6unspecified, Port: 80}, &net.TCPAddr{IP: net.IPv4zero, Port: 80}
	for _, test := range []struct {
		socket net.Addr
		addr   string
		want   bool
	}{
		{all6, ":80", true}, {all6, "[::]:80", true}, {all6, ":0", true}, {all6, ":81", false}, {all6, "0.0.0.0:80", false},
		{all4, ":80", true}, {all4, "0.0.0.0:80", true}, {all4, "[::]:80", false}, {all4, "127.0.0.1:80", false},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, "localhost:80", true},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, ":80", false},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, "no address", false},
		{&net.UnixAddr{Name: "/run/http", Net: "unix"}, ":80", false},
	} {
		if got := liesAt(test.socket, test.addr); got != test.want {
			t.Errorf("%v for %q: %t", test.socket, test.addr, got)
		}
	}
}
