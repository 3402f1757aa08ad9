package main

import (
	"context"
	"fmt"
	"net"
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
	a, err := newAccess(cfg, testLogger(t))
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
	sentAway := make(chan ingest.EndCause, 1)
	d := s.access.mayPublish(publishing("live/test", "key=the-second-key"))
	if _, refusal := d.Enter(func(cause ingest.EndCause) { sentAway <- cause }); refusal != nil {
		t.Fatal(refusal.Reason)
	}
	write("nonsense")
	eventually(t, "it is said that the file is damaged", func() bool {
		_, reason := s.ready()
		return strings.Contains(reason, "auth keys") && strings.Contains(metricsOf(t, s), `headwater_files_stale{files="auth keys"} 1`)
	})
	if !may("the-second-key") || len(sentAway) > 0 {
		t.Error("a damaged file took the keys away")
	}
	write("live/test the-third-key\n")
	select {
	case cause := <-sentAway:
		if cause != ingest.EndRevoked {
			t.Errorf("sent away as %s", cause)
		}
	case <-time.After(30 * time.Second):
		t.Error("whoever published with a key that was removed publishes still")
	}
	eventually(t, "all is well", func() bool {
		ok, reason := s.ready()
		return ok && reason == "" && strings.Contains(metricsOf(t, s), `headwater_files_stale{files="auth keys"} 0`)
	})
}

// TestAKeyFileThatOthersCouldReadIsReadWhenItsModeIsRight: what it says is the same still.
func TestAKeyFileThatOthersCouldReadIsReadWhenItsModeIsRight(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	place := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file+".new", mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	place("live/test the-first-key\n", 0o600)
	s := runServer(t, func(c *config.Config) {
		c.Auth.KeysFile, c.Auth.Publish = file, config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyKeys}}}
	})
	may := func(key string) bool { return s.access.mayPublish(publishing("live/test", "key="+key)).Allowed }
	place("live/test the-second-key\n", 0o644)
	eventually(t, "it is said that the file was not read", func() bool { return s.access.staleFiles()["auth keys"] })
	if !may("the-first-key") || may("the-second-key") {
		t.Error("a file that others can read counts")
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second key counts", func() bool { return may("the-second-key") && !s.access.staleFiles()["auth keys"] })
}

// metricsOf returns what Prometheus would get.
func metricsOf(t *testing.T, s *server) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
	here := context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	s.private.Handler.ServeHTTP(w, r.WithContext(here))
	return w.Body.String()
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
		if v.Status != test.status || !strings.Contains(v.Reason, test.says) || carry(a.current.Load().settings) != test.carry {
			t.Errorf("%+v: %d %q, carry %d", test, v.Status, v.Reason, carry(a.current.Load().settings))
		}
		segment := hlsAsk
		segment.Segment = true
		if v := a.MayWatch(asking("/live/test/00/1.ts"), segment); (v.Status == 0) != (!test.checkSegments || test.unguardedWatch) {
			t.Errorf("%+v: a segment without a token is answered with %d", test, v.Status)
		}
	}
}

func TestTheNamesThatViewersAskForAreRedactedWhereNobodyPublishes(t *testing.T) {
	s := runServer(t, func(*config.Config) {})
	d := s.access.mayPlay(publishing("live/sk_8d2f9c11", ""))
	if _, refusal := d.Enter(func(ingest.EndCause) {}); refusal != nil {
		t.Fatal(refusal.Reason)
	}
	list := func() string {
		list, _ := adminAccess{access: s.access}.Sessions("", 0, 100)
		return fmt.Sprint(list)
	}
	if got := list(); strings.Contains(got, "sk_8d2f9c11") || !strings.Contains(got, "live/sk…") {
		t.Errorf("sessions: %s", got)
	}
	s.access.exists = func(remux.StreamName) bool { return true }
	if got := list(); !strings.Contains(got, "live/sk_8d2f9c11") {
		t.Errorf("sessions of a stream that is published: %s", got)
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

// TestWhoWatchesHLSIsLetInAndSentAway: it counts like others, and what ends their permission ends that for HLS.
func TestWhoWatchesHLSIsLetInAndSentAway(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"allow":true,"max_duration":3600}`))
	}))
	defer backend.Close()
	a := newTestAccess(t, func(c *config.Config) {
		c.Auth.CallbackURL, c.Auth.Watch = backend.URL, config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyCallback}}}
		c.Stream.MaxViewersPerStream = 1
	})
	ask := func(token, player string, index bool) int {
		r := asking("/live/test/x.m3u8?token=" + token)
		r.Header.Set("User-Agent", player)
		return a.MayWatch(r, edge.Ask{Name: "live/test", Protocol: "hls", Index: index}).Status
	}
	if ask("abc", "one", true) != 0 || ask("abc", "another", false) != 0 {
		t.Error("the token of one viewer is not one viewer")
	}
	if got := ask("def", "one", true); got != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered with %d", got)
	}
	list := a.Sessions("live/test")
	if len(list) != 1 || list[0].Protocol != "hls" || time.Until(*list[0].Expires) > time.Hour || !a.End(list[0].ID) {
		t.Fatalf("sessions %+v", list)
	}
	if got := ask("abc", "one", false); got != http.StatusForbidden {
		t.Errorf("who was sent away is answered with %d", got)
	}
	if got := ask("def", "one", true); got != 0 {
		t.Errorf("the seat is taken still: %d", got)
	}
	a.exists = func(remux.StreamName) bool { return false }
	if got := ask("ghi", "one", true); got != 0 || len(a.Sessions("")) != 1 {
		t.Errorf("%d, and %d watch what is not there", got, len(a.Sessions("")))
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

// TestAKeyThatWasTakenAwayDoesNotComeBackFromTheOldFile: what an older configuration still reads counts no more.
func TestAKeyThatWasTakenAwayDoesNotComeBackFromTheOldFile(t *testing.T) {
	folder := t.TempDir()
	file := func(name, line string) config.Auth {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return config.Auth{KeysFile: path, Publish: config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyKeys}}}}
	}
	before, after := file("before", "live/test the-stolen-key"), file("after", "live/test the-newest-key")
	a := newTestAccess(t, func(c *config.Config) { c.Auth = before })
	old := a.current.Load()
	cfg := config.Default()
	cfg.Auth = after
	next, err := a.newPolicies(after, old)
	if err != nil {
		t.Fatal(err)
	}
	a.change(next, &cfg)
	a.reload(old) // as it may have begun before the change
	may := func(key string) bool { return a.mayPublish(publishing("live/test", "key="+key)).Allowed }
	if may("the-stolen-key") || !may("the-newest-key") {
		t.Error("the old file decides")
	}
	a.reload(next)
	if may("the-stolen-key") || !may("the-newest-key") {
		t.Error("the new file does not decide")
	}
}

func TestWhoeverLetInByAPolicyThatIsGoneIsSentAway(t *testing.T) {
	for _, ends := range []bool{true, false} {
		a := newTestAccess(t, func(c *config.Config) {
			c.Auth = rulesOf(t, "live/* = keys; * = open", "open")
			c.Auth.EndOnRemoval = ends
		})
		byKey, openly := enter(t, a, "live/test", "key=the-key-of-all"), enter(t, a, "other/test", "")
		cfg := config.Default()
		cfg.Auth = rulesOf(t, "deny", "open")
		cfg.Auth.EndOnRemoval = ends
		next, err := a.newPolicies(cfg.Auth, a.current.Load())
		if err != nil {
			t.Fatal(err)
		}
		a.change(next, &cfg)
		if got := len(byKey) == 1; got != ends {
			t.Errorf("auth.end_on_removal is %t, and whoever had the key was sent away: %t", ends, got)
		}
		if len(openly) != 0 {
			t.Error("who needed no key was sent away")
		}
	}
}
