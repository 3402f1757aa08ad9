package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
)

const signingSecret = "an-example-secret-of-32-letters!"

// rulesOf reads rules as the configuration does.
func rulesOf(t *testing.T, publish, watch string) config.Auth {
	t.Helper()
	file := filepath.Join(t.TempDir(), "headwater.yaml")
	text := "auth:\n  publish: \"" + publish + "\"\n  watch: \"" + watch + "\"\n  secret: " + signingSecret + "\n  key: the-key-of-all\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Auth
}

func newTestAccess(t *testing.T, change func(*config.Config)) *access {
	t.Helper()
	cfg := config.Default()
	change(&cfg)
	a, err := newAccess(cfg, newLogger(t.Output(), config.LogText, cfg.Log.Level))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.cancel)
	return a
}

func publishing(stream, query string) ingest.Request {
	return ingest.Request{
		Stream: remux.StreamName(stream), Query: query, Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Protocol: "rtmp",
	}
}

func TestRulesOfTheConfigurationDecide(t *testing.T) {
	a := newTestAccess(t, func(c *config.Config) {
		c.Auth = rulesOf(t, "live/* = keys, signed; loopback", "members/* = signed; open")
	})
	for _, test := range []struct {
		stream, query string
		want          bool
	}{
		{"live/test", "key=the-key-of-all", true}, {"live/test", "key=another-key", false}, {"live/test", "", false}, {"other/test", "key=the-key-of-all", false},
	} {
		if d := a.mayPublish(publishing(test.stream, test.query)); d.Allowed != test.want {
			t.Errorf("%+v: %+v", test, d)
		}
	}
}

func TestAChangedKeysFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("live/test the-first-key\n")
	s := runServer(t, func(c *config.Config) {
		c.Auth.KeysFile, c.Auth.Publish = file, config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyKeys}}}
	})
	may := func(key string) bool { return s.access.mayPublish(publishing("live/test", "key="+key)).Allowed }
	if !may("the-first-key") || may("the-second-key") {
		t.Fatal("the file does not count")
	}
	write("live/test the-second-key\n")
	eventually(t, "the second key counts", func() bool { return may("the-second-key") })
	if may("the-first-key") {
		t.Error("the first key counts still")
	}
	write("nonsense")
	s.access.reload()
	if !may("the-second-key") {
		t.Error("a damaged file took the keys away")
	}
}

// asking makes a viewer's request.
func asking(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "192.0.2.7:4000"
	return r
}

func TestWhereTheTokenStandsIsASetting(t *testing.T) {
	token := auth.Sign([]byte(signingSecret), auth.Grant{Action: auth.Play, Stream: "live/test", Expires: time.Now().Add(time.Hour)})
	hlsAsk := edge.Ask{Name: "live/test", Protocol: "hls"}
	inPath, flv := hlsAsk, hlsAsk
	inPath.Token, flv.Protocol = token, "flv"
	for _, test := range []struct {
		where          config.HLSToken
		query          string
		ask            edge.Ask
		status         int
		says           string
		checkSegments  bool
		carry          hls.Carry
		unguardedWatch bool
	}{
		{where: config.TokenQuery, query: token, ask: hlsAsk, checkSegments: true, carry: hls.CarryToAll},
		{where: config.TokenQuery, query: token, ask: hlsAsk, carry: hls.CarryToPlaylists},
		{where: config.TokenQuery, ask: inPath, checkSegments: true, carry: hls.CarryToAll},
		{where: config.TokenQuery, ask: hlsAsk, status: 403, says: "?token=TOKEN", checkSegments: true, carry: hls.CarryToAll},
		{where: config.TokenPath, query: token, ask: hlsAsk, status: 403, says: "/t/TOKEN/", checkSegments: true},
		{where: config.TokenPath, ask: inPath, checkSegments: true},
		{where: config.TokenPath, query: token, ask: flv, checkSegments: true},
		{where: config.TokenQuery, ask: hlsAsk, checkSegments: true, unguardedWatch: true},
	} {
		a := newTestAccess(t, func(c *config.Config) {
			c.Auth = rulesOf(t, "loopback", map[bool]string{true: "open", false: "signed"}[test.unguardedWatch])
			c.Auth.HLSToken, c.Auth.CheckSegments = test.where, test.checkSegments
		})
		path := "/live/test.m3u8"
		if test.query != "" {
			path += "?token=" + test.query
		}
		v := a.MayWatch(asking(path), test.ask)
		if v.Status != test.status || !strings.Contains(v.Reason, test.says) || a.carry() != test.carry {
			t.Errorf("%+v: %d %q, carry %d", test, v.Status, v.Reason, a.carry())
		}
		segment := hlsAsk
		segment.Segment = true
		if v := a.MayWatch(asking("/live/test/00/1.ts"), segment); (v.Status == 0) != (!test.checkSegments || test.unguardedWatch) {
			t.Errorf("%+v: a segment without a token is answered with %d", test, v.Status)
		}
	}
}

func TestRefusalsAreCountedByReason(t *testing.T) {
	s := runServer(t, func(c *config.Config) {
		c.Auth = rulesOf(t, "keys", "signed")
		c.Stream.MaxViewersPerStream = 1
	})
	for range 3 {
		s.access.MayWatch(asking("/live/test.flv"), edge.Ask{Name: "live/test", Protocol: "flv"})
	}
	s.access.MayWatch(asking("/live/test.flv?token=x"), edge.Ask{Name: "live/test", Protocol: "flv"})
	got := s.refusals()
	if got["no-token"] != 3 || got["bad-token"] != 1 {
		t.Errorf("%v", got)
	}
	token := auth.Sign([]byte(signingSecret), auth.Grant{Action: auth.Play, Stream: "live/test", Expires: time.Now().Add(time.Hour)})
	v := s.access.MayWatch(asking("/live/test.flv?token="+token), edge.Ask{Name: "live/test", Protocol: "flv"})
	if _, refusal := v.Enter(func() {}); refusal != nil {
		t.Fatal(refusal.Reason)
	}
	if _, refusal := v.Enter(func() {}); refusal == nil || refusal.Status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %+v", refusal)
	}
	if n := s.refusals()["too-many-viewers-of-stream"]; n != 1 {
		t.Errorf("%d counted", n)
	}
}

func BenchmarkMayWatch(b *testing.B) {
	cfg := config.Default()
	a, err := newAccess(cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	r, ask := asking("/live/test.m3u8"), edge.Ask{Name: "live/test", Protocol: "hls"}
	b.ReportAllocs()
	for b.Loop() {
		if a.MayWatch(r, ask).Status != 0 {
			b.Fatal("refused")
		}
	}
}
