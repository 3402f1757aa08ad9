package main

import (
	"net"
	"testing"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

func TestAPassedAdminSocketForEverybodyNeedsAToken(t *testing.T) {
	for addr, refused := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // a test
		cfg := config.Default()
		if err := adminIsPrivate(&cfg, &listener{Listener: l}); (err != nil) != refused {
			t.Errorf("bound to %s without a token: %v", addr, err)
		}
		cfg.Admin.Token = "a token"
		if err := adminIsPrivate(&cfg, &listener{Listener: l}); err != nil {
			t.Errorf("bound to %s with a token: %v", addr, err)
		}
	}
}
