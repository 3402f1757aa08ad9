package main

import (
	"net"
	"testing"
)

func TestAPassedAdminSocketForEverybodyNeedsAToken(t *testing.T) {
	for addr, refused := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // a test
		s := &server{listeners: listeners{admin: l}}
		if err := s.adminIsPrivate(); (err != nil) != refused {
			t.Errorf("bound to %s without a token: %v", addr, err)
		}
		s.cfg.Admin.Token = "a token"
		if err := s.adminIsPrivate(); err != nil {
			t.Errorf("bound to %s with a token: %v", addr, err)
		}
	}
}
