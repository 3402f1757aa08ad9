package e2e

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ticketPage is a page of another origin than the media's, in a browser.
type ticketPage struct {
	*pageDriver
	site string
}

// play opens the page with one URL to play.
func (p *ticketPage) play(kind, address string) {
	p.t.Helper()
	p.open(p.site + "/?" + url.Values{"kind": {kind}, "url": {address}}.Encode())
}

const (
	pagePlays = "window.sample().currentTime > 0.2 && window.sample().decodedFrames > 0"
	pageFails = "window.sample().fatal.length > 0"
)

// TestBrowserPlaysByEachPolicy plays as pages do that were given one URL, and as people do who open the watch page.
func TestBrowserPlaysByEachPolicy(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	for stream, address := range g.published(ctx, t) {
		server := g.rtmp
		if stream == "signed/show" { // which is watched over HTTPS, too
			server = g.rtmps
		}
		pushUntilEnded(ctx, t, src, server+address)
	}
	site := httptest.NewServer(playerSite())
	t.Cleanup(site.Close)
	p := &ticketPage{drivePages(ctx, t), site.URL}
	signed := signedToken(ctx, t, "play", "signed/show", time.Hour)
	tests := []struct{ kind, stream, way, token string }{
		{"hls", "open/show", "hls", "none"},
		{"flv", "keys/alias", "flv", "none"},
		{"hls", "local/show", "hls", "none"},
		{"ws", "local/alias", "websocket", "none"},
		{"hls", "signed/show", "hls", signed},
		{"hls", "signed/show", "hls by path", signed},
		{"ws", "signed/show", "websocket", signed},
		{"hls", "callback/show", "hls", "good"},
	}
	for name := range ticketMethods {
		way, kind := "hls", "hls"
		if name != "EdDSA" {
			way, kind = "flv", "flv"
		}
		tests = append(tests, struct{ kind, stream, way, token string }{kind, "jwt/" + name, way, g.office.ticketBy(t, name, "play", "jwt/"+name, time.Hour)})
	}
	for _, test := range tests {
		if !g.live(ctx, test.stream) {
			t.Fatalf("%s is not published", test.stream)
		}
		urls := g.watchURLs(test.stream, test.token)
		for test.kind == "hls" && status(ctx, t, "GET", urls["hls"]) != 200 {
			time.Sleep(pollInterval) // until there is a first segment
		}
		p.play(test.kind, urls[test.way])
		p.until(pagePlays)
	}
	for _, stream := range []string{"signed/show", "jwt/EdDSA", "callback/show"} {
		p.play("hls", g.watchURLs(stream, "x")["hls"])
		p.until(pageFails)
	}
	for _, base := range []string{g.http, g.https} {
		p.open(base + "/signed/show?token=" + signed) // the watch page
		p.until("document.body.dataset.state === 'playing'")
	}
	// What it has loaded over HTTPS came by HTTP/2.
	p.until("performance.getEntriesByType('resource').some((e) => e.nextHopProtocol === 'h2')")
	p.play("flv", g.watchURLs("signed/show", signed)["flv over HTTP/2"])
	p.until(pagePlays)
	p.playsNothingOfThisMachineElsewhere(g)
	p.playsUntilItsEnd(ctx, g)
}

// playsNothingOfThisMachineElsewhere shows a page of another site, which asks for what is for this machine alone.
func (p *ticketPage) playsNothingOfThisMachineElsewhere(g *guarded) {
	p.t.Helper()
	p.open(strings.Replace(p.site, "127.0.0.1", "elsewhere.test", 1) + "/player.js") // a page without a player
	for path, want := range map[string]float64{"/local/show.m3u8": 403, "/open/show.m3u8": 200} {
		if got := p.eval("fetch(" + quoted(g.http+path) + ").then((r) => r.status, () => 0)"); got != want {
			p.t.Errorf("a page of elsewhere gets %v for %s, want %v", got, path, want)
		}
	}
}

// playsUntilItsEnd has a token expire while a page plays with it, HLS and FLV side by side.
func (p *ticketPage) playsUntilItsEnd(ctx context.Context, g *guarded) {
	p.t.Helper()
	short := signedToken(ctx, p.t, "play", "signed/show", 15*time.Second) // time enough to begin on a busy machine
	expiry := expiryOf(p.t, short)
	urls := g.watchURLs("signed/show", short)
	p.play("hls", urls["hls"])
	p.eval(`document.body.append(Object.assign(document.createElement('iframe'), {src: '/?' + new URLSearchParams({kind: 'flv', url: ` + quoted(urls["flv"]) + `})}))`)
	p.until("window.frames[0].sample && " + strings.ReplaceAll(pagePlays, "window", "window.frames[0]"))
	p.until(pagePlays)
	p.until("window.frames[0].sample().ended || window.frames[0].sample().fatal.length > 0")
	if now := time.Now(); now.Before(expiry) {
		p.t.Errorf("FLV ended %v early", expiry.Sub(now))
	}
	p.until(pageFails)
	if now := time.Now(); now.Before(expiry) {
		p.t.Errorf("HLS ended %v early", expiry.Sub(now))
	}
	if !g.live(ctx, "signed/show") {
		p.t.Error("the stream has ended, too")
	}
}

func quoted(s string) string { return "'" + s + "'" }
