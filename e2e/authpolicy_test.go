package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// published is what stands behind the server's address when each policy is published with, by the name that viewers see.
func (g *guarded) published(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{
		"keys/show": "/keys/show?key=" + plantedKey, "keys/alias": "/keys/" + plantedName,
		"open/show": "/open/show", "local/show": "/local/show", "local/alias": "/local/" + plantedName,
		"signed/show":   "/signed/show?token=" + signedToken(ctx, t, "publish", "signed/show", time.Hour),
		"callback/show": "/callback/" + plantedName,
	}
	for name := range ticketMethods {
		all["jwt/"+name] = "/jwt/" + name + "?token=" + g.office.ticketBy(t, name, "publish", "jwt/*", time.Hour)
	}
	return all
}

func TestEachPolicyLetsTheRightOnesPublish(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	overTLS := false
	published := g.published(ctx, t)
	for stream, address := range published {
		server := g.rtmp
		if overTLS = !overTLS; overTLS { // one half of them, another one each time
			server = g.rtmps
		}
		pushInBackground(ctx, t, src, server+address)
		t.Cleanup(func() { t.Logf("%s was published by %s", stream, server) })
	}
	for stream := range published {
		if !g.live(ctx, stream) {
			t.Errorf("%s is not published", stream)
		}
	}
	for _, test := range []struct{ stream, query, says string }{
		{"keys/show", "", "needs a key"},
		{"keys/show", "?key=PLANTED-wrong", "not one of this stream"},
		{"keys/alias", "?key=" + plantedKey, "not one of this stream"},
		{"signed/show", "?token=PLANTED-damaged", "damaged"},
		{"signed/show", "?token=" + signedToken(ctx, t, "play", "signed/show", time.Hour), "for watching"},
		{"signed/other", "?token=" + signedToken(ctx, t, "publish", "signed/show", time.Hour), "not for this stream"},
		{"jwt/show", "?token=" + g.office.ticket(t, "play", "jwt/*", time.Hour), "for watching"},
		{"jwt/show", "?token=" + newTicketOffice(t).ticket(t, "publish", "jwt/*", time.Hour), "not from a source"},
		{"jwt/show", "?token=" + newTicketOffice(t).ticketBy(t, "JWKS", "publish", "jwt/*", time.Hour), "not from a source"},
		{"local/alias", "", "needs a key"},
		{"callback/show", "?token=PLANTED-bad", "the box office does not know you"},
		{"elsewhere/show", "?key=" + plantedKey, "nobody may publish"},
	} {
		server := g.rtmp
		if overTLS = !overTLS; overTLS {
			server = g.rtmps
		}
		told := pushRefused(ctx, t, src, server+"/"+test.stream+test.query)
		if !strings.Contains(told, test.says) {
			t.Errorf("%s: the encoder was not told %q:\n%s", test.stream, test.says, tail(told, 2000))
		}
	}
}

func TestEachPolicyHoldsForEveryWayToWatch(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	for stream, address := range g.published(ctx, t) {
		if guardsViewers(stream) {
			pushInBackground(ctx, t, src, g.rtmp+address)
		}
	}
	tokens := map[string][2]string{ // right and wrong
		"signed/show":   {signedToken(ctx, t, "play", "signed/show", time.Hour), signedToken(ctx, t, "play", "signed/other", time.Hour)},
		"callback/show": {"good", "PLANTED-bad"},
	}
	for name := range ticketMethods {
		tokens["jwt/"+name] = [2]string{
			g.office.ticketBy(t, name, "play", "jwt/"+name, time.Hour), g.office.ticketBy(t, name, "play", "jwt/other", time.Hour),
		}
	}
	t.Run("with tokens", func(t *testing.T) {
		for stream, token := range tokens {
			t.Run(stream, func(t *testing.T) {
				t.Parallel()
				if !g.live(ctx, stream) {
					t.Fatal("it is not published")
				}
				waitForHLS(ctx, t, g.http+"/"+stream+"/index.m3u8?token="+token[0], 1)
				g.letsWatch(ctx, t, stream, token[0])
				for _, wrong := range []string{token[1], "x"} {
					g.letsNobodyWatch(ctx, t, stream, wrong)
				}
				g.playsOverRTMP(ctx, t, stream, token)
			})
		}
	})
	g.answersCurlOverHTTP2(ctx, t, "signed/show", tokens["signed/show"][0])
	for way, address := range g.watchURLs("deny/show", "x") {
		if got := status(ctx, t, "GET", address); got != 403 {
			t.Errorf("%s of what nobody may watch is answered with %d", way, got)
		}
	}
	g.believesNoHeader(ctx, t)
}

// answersCurlOverHTTP2 asks with a client that is not Go's, whose HTTP/2 is nghttp2.
func (g *guarded) answersCurlOverHTTP2(ctx context.Context, t *testing.T, stream, token string) {
	t.Helper()
	urls := g.watchURLs(stream, token)
	variants, _, _ := playlistURIs(ctx, t, urls["hls over HTTP/2"])
	segments, _, _ := playlistURIs(ctx, t, variants[0])
	for address, want := range map[string]string{
		urls["hls over HTTP/2"]: "2 200", variants[0]: "2 200", segments[0]: "2 200",
		g.https + "/" + stream + "/index.m3u8": "2 403",
	} {
		o := run(command(ctx, t, "curl", "--silent", "--show-error", "--insecure", "--http2", "--output", os.DevNull,
			"--write-out", "%{http_version} %{response_code}", address))
		if err := o.clean(); err != nil || o.stdout != want {
			t.Errorf("curl got %q, want %q (%v)", o.stdout, want, err)
		}
	}
}

// guardsViewers reports whether viewers of a stream have to show something.
func guardsViewers(stream string) bool {
	app, _, _ := strings.Cut(stream, "/")
	return app == "signed" || app == "jwt" || app == "callback"
}

// letsWatch checks every way to watch with the right token.
func (g *guarded) letsWatch(ctx context.Context, t *testing.T, stream, token string) {
	t.Helper()
	for way, address := range g.watchURLs(stream, token) {
		if got := status(ctx, t, "GET", address); got != 200 {
			t.Errorf("%s with the right token: %d", way, got)
		}
		if !strings.HasPrefix(way, "hls") {
			continue
		}
		variants, _, _ := playlistURIs(ctx, t, address)
		segments, header, text := playlistURIs(ctx, t, variants[0])
		if got := status(ctx, t, "GET", segments[0]); got != 200 {
			t.Errorf("%s: a segment is answered with %d", way, got)
		}
		bare, _, _ := strings.Cut(strings.Replace(segments[0], "/t/"+token, "", 1), "?")
		if got := status(ctx, t, "GET", bare); got != 403 {
			t.Errorf("%s: a segment without the token is answered with %d", way, got)
		}
		if shared := strings.Contains(header.Get("Cache-Control"), "public"); shared == strings.Contains(text, token) {
			t.Errorf("%s: a playlist says %q:\n%s", way, header.Get("Cache-Control"), text)
		}
	}
}

// letsNobodyWatch checks every way to watch with a wrong token, and without one.
func (g *guarded) letsNobodyWatch(ctx context.Context, t *testing.T, stream, wrong string) {
	t.Helper()
	for way, address := range g.watchURLs(stream, wrong) {
		for _, method := range []string{"GET", "HEAD"} {
			if got := status(ctx, t, method, address); got != 403 {
				t.Errorf("%s %s with a wrong token: %d", method, way, got)
			}
		}
		if bare, _, had := strings.Cut(address, "?"); had {
			if got := status(ctx, t, "GET", bare); got != 403 {
				t.Errorf("%s without a token: %d", way, got)
			}
		}
	}
}

// playsOverRTMP plays with ffmpeg, plainly and over TLS.
func (g *guarded) playsOverRTMP(ctx context.Context, t *testing.T, stream string, token [2]string) {
	t.Helper()
	for address, want := range map[string]bool{
		g.rtmp + "/" + stream + "?token=" + token[0]: true, g.rtmps + "/" + stream + "?token=" + token[0]: true,
		g.rtmp + "/" + stream + "?token=" + token[1]: false, g.rtmps + "/" + stream: false,
	} {
		o := run(command(ctx, t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", address))
		if played := strings.Contains(o.stdout, "h264"); played != want {
			scheme, _, _ := strings.Cut(address, ":")
			t.Errorf("played over %s %v, want %v: %s%s", scheme, played, want, o.stdout, o.stderr)
		}
	}
}

// believesNoHeader checks that nobody gets in by an address that only a header has, and that what is for this machine
// is not for whom a proxy on it asks.
func (g *guarded) believesNoHeader(ctx context.Context, t *testing.T) {
	t.Helper()
	elsewhere := signedToken(ctx, t, "play", "signed/show", time.Hour, "--address", "192.0.2.7")
	here := signedToken(ctx, t, "play", "signed/show", time.Hour, "--address", "127.0.0.1")
	const none = 404 // allowed, and nobody publishes it
	for _, test := range []struct {
		what, path, header string
		want               int
	}{
		{"a token for another address", "/signed/show.m3u8?token=" + elsewhere, "", 403},
		{"the same with that address in a header", "/signed/show.m3u8?token=" + elsewhere, "192.0.2.7", 403},
		{"a token for this address", "/signed/show.m3u8?token=" + here, "192.0.2.7", 200},
		{"a program on this machine", "/local/nobody.m3u8", "", none},
		{"a proxy on this machine", "/local/nobody.m3u8", "192.0.2.7", 403},
		{"a proxy for this machine", "/local/nobody.flv", "127.0.0.1", 403},
	} {
		var headers []string
		if test.header != "" {
			headers = []string{"X-Forwarded-For", test.header}
		}
		if got := status(ctx, t, "GET", g.http+test.path, headers...); got != test.want {
			t.Errorf("%s is answered with %d, want %d", test.what, got, test.want)
		}
	}
}
