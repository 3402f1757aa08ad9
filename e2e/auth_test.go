package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Secrets that the servers of these tests have. None of them may be seen again.
const (
	plantedKey    = "PLANTED-publish-key"
	plantedName   = "PLANTED-name-key"
	plantedSecret = "PLANTED-signing-secret-of-some-length"
	plantedAdmin  = "PLANTED-admin-token"
	plantedURLKey = "PLANTED-callback-key"
)

// secretFile writes a file that others cannot read.
func secretFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ticketOffice signs tickets, as somebody does who sells them.
type ticketOffice struct {
	private ed25519.PrivateKey
	keys    string // file with the public key
}

func newTicketOffice(t testing.TB) *ticketOffice {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return &ticketOffice{private: private, keys: secretFile(t, "tickets.pem", string(block))}
}

func (o *ticketOffice) ticket(t testing.TB, action, stream string, ttl time.Duration) string {
	t.Helper()
	claims := jwt.MapClaims{"action": action, "stream": stream, "exp": time.Now().Add(ttl).Unix(), "sub": "holder"}
	text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(o.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signedToken makes a token with the command line, as an operator does.
func signedToken(ctx context.Context, t testing.TB, action, stream string, ttl time.Duration) string {
	t.Helper()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(ctx, t, path, "token", action, stream, "--bare", "--ttl", ttl.String())
	cmd.Env = append(os.Environ(), "HEADWATER_AUTH_SECRET="+plantedSecret)
	cmd.Dir = t.TempDir()
	o := run(cmd)
	if err := o.clean(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(o.stdout)
}

// backend is an authorisation backend. It allows those whose token is "good", and calls streams that are published
// under a secret name by their public one.
type backend struct {
	*httptest.Server
	asked    atomic.Int64
	instead  atomic.Pointer[http.HandlerFunc] // answers in its stead, if set
	lastBody atomic.Pointer[string]
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		b.lastBody.Store(&text)
		if instead := b.instead.Load(); instead != nil {
			(*instead)(w, r)
			return
		}
		var q struct{ Action, Stream, Query string }
		_ = json.Unmarshal(body, &q)
		values, _ := url.ParseQuery(q.Query)
		answer := map[string]any{"allow": values.Get("token") == "good", "reason": "the box office does not know you", "cache": 30}
		if q.Stream == "callback/"+plantedName {
			answer = map[string]any{"allow": true, "stream": "callback/show"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) answerWith(h http.HandlerFunc) { b.instead.Store(&h) }

// guarded is a server whose applications each have a policy of their own.
type guarded struct {
	*server
	office  *ticketOffice
	backend *backend
}

func startGuarded(t *testing.T, flags ...string) *guarded {
	t.Helper()
	g := &guarded{office: newTicketOffice(t), backend: newBackend(t)}
	keys := secretFile(t, "keys", "keys/show "+plantedKey+"\nkeys/alias name:"+plantedName+"\n")
	g.server = startServer(t, append([]string{
		"--auth.publish=keys/*=keys; signed/*=signed; jwt/*=jwt; callback/*=callback; open/*=open; deny",
		"--auth.watch=signed/*=signed; jwt/*=jwt; callback/*=callback; deny/*=deny; open",
		"--auth.keys_file=" + keys, "--auth.secret_file=" + secretFile(t, "secret", plantedSecret),
		"--auth.jwt_keys_file=" + g.office.keys, "--auth.callback_url=" + g.backend.URL + "/?key=" + plantedURLKey,
		"--log.level=debug", "--hls.segment=1s",
	}, flags...)...)
	return g
}

// live waits until a stream is published, and reports whether it came to that within some seconds.
func (g *guarded) live(ctx context.Context, stream string) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		f, err := fetch(ctx, g.admin+"/api/v1/streams/"+stream)
		var info struct{ State string }
		if err == nil && f.status == 200 && json.Unmarshal(f.body, &info) == nil && info.State == "live" {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// pushRefused pushes with ffmpeg, which must be refused, and returns what ffmpeg told.
func pushRefused(ctx context.Context, t *testing.T, src, url string) string {
	t.Helper()
	o := run(command(ctx, t, "ffmpeg", "-v", "verbose", "-nostdin", "-re", "-i", src, "-c", "copy", "-f", "flv", url))
	if o.err == nil {
		t.Errorf("%s: nobody refused", url)
	}
	return o.stderr
}

func TestEachPolicyLetsTheRightOnesPublish(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	good := func(stream, query string) { pushInBackground(ctx, t, src, g.rtmp+"/"+stream+query) }
	good("keys/show", "?key="+plantedKey)
	good("keys/"+plantedName, "")
	good("signed/show", "?token="+signedToken(ctx, t, "publish", "signed/show", time.Hour))
	good("jwt/show", "?token="+g.office.ticket(t, "publish", "jwt/*", time.Hour))
	good("callback/"+plantedName, "")
	for _, stream := range []string{"keys/show", "keys/alias", "signed/show", "jwt/show", "callback/show"} {
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
		{"callback/show", "?token=PLANTED-bad", "the box office does not know you"},
		{"elsewhere/show", "?key=" + plantedKey, "nobody may publish"},
	} {
		told := pushRefused(ctx, t, src, g.rtmp+"/"+test.stream+test.query)
		if !strings.Contains(told, test.says) {
			t.Errorf("%s: the encoder was not told %q:\n%s", test.stream, test.says, tail(told, 2000))
		}
	}
}

// watchURLs are where a stream can be watched with a token, by protocol.
func (g *guarded) watchURLs(stream, token string) map[string]string {
	query := "?token=" + token
	return map[string]string{
		"hls": g.http + "/" + stream + "/index.m3u8" + query, "hls by name": g.http + "/" + stream + ".m3u8" + query,
		"hls by path": g.http + "/t/" + token + "/" + stream + "/index.m3u8",
		"flv":         g.http + "/" + stream + ".flv" + query, "flv by path": g.http + "/t/" + token + "/" + stream + ".flv",
	}
}

// status returns how a request is answered, without reading to the end of what has none.
func status(ctx context.Context, t *testing.T, method, url string, headers ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := viewerClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// playlistURIs fetches a playlist and returns what it names.
func playlistURIs(ctx context.Context, t *testing.T, address string) (uris []string, f fetched) {
	t.Helper()
	f, err := fetch(ctx, address)
	if err != nil || f.status != 200 {
		t.Fatalf("playlist: %d, %v", f.status, err)
	}
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(f.body)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			u, err := base.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			uris = append(uris, u.String())
		}
	}
	return uris, f
}

func TestEachPolicyHoldsForEveryWayToWatch(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	tokens := map[string][2]string{ // right and wrong
		"signed/show":   {signedToken(ctx, t, "play", "signed/show", time.Hour), signedToken(ctx, t, "play", "signed/other", time.Hour)},
		"jwt/show":      {g.office.ticket(t, "play", "jwt/show", time.Hour), g.office.ticket(t, "play", "jwt/other", time.Hour)},
		"callback/show": {"good", "PLANTED-bad"},
	}
	pushInBackground(ctx, t, src, g.rtmp+"/signed/show?token="+signedToken(ctx, t, "publish", "signed/show", time.Hour))
	pushInBackground(ctx, t, src, g.rtmp+"/jwt/show?token="+g.office.ticket(t, "publish", "jwt/show", time.Hour))
	pushInBackground(ctx, t, src, g.rtmp+"/callback/"+plantedName)
	for stream, token := range tokens {
		if !g.live(ctx, stream) {
			t.Fatalf("%s is not published", stream)
		}
		waitForHLS(ctx, t, g.http+"/"+stream+"/index.m3u8?token="+token[0], 1)
		for way, address := range g.watchURLs(stream, token[0]) {
			if got := status(ctx, t, "GET", address); got != 200 {
				t.Errorf("%s %s with the right token: %d", stream, way, got)
			}
			if !strings.HasPrefix(way, "hls") {
				continue
			}
			variants, _ := playlistURIs(ctx, t, address)
			segments, media := playlistURIs(ctx, t, variants[0])
			if got := status(ctx, t, "GET", segments[0]); got != 200 {
				t.Errorf("%s %s: a segment is answered with %d", stream, way, got)
			}
			bare, _, _ := strings.Cut(strings.Replace(segments[0], "/t/"+token[0], "", 1), "?")
			if got := status(ctx, t, "GET", bare); got != 403 {
				t.Errorf("%s %s: a segment without the token is answered with %d", stream, way, got)
			}
			if shared := strings.Contains(media.header.Get("Cache-Control"), "public"); shared == strings.Contains(string(media.body), token[0]) {
				t.Errorf("%s %s: a playlist says %q:\n%s", stream, way, media.header.Get("Cache-Control"), media.body)
			}
		}
		for _, wrong := range []string{token[1], "x"} {
			for way, address := range g.watchURLs(stream, wrong) {
				for _, method := range []string{"GET", "HEAD"} {
					if got := status(ctx, t, method, address); got != 403 {
						t.Errorf("%s %s %s with a wrong token: %d", method, stream, way, got)
					}
				}
			}
		}
		if got := status(ctx, t, "GET", g.http+"/"+stream+".flv", "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="); got != 403 {
			t.Errorf("%s: WebSocket without a token: %d", stream, got)
		}
		for query, want := range map[string]bool{"?token=" + token[0]: true, "?token=" + token[1]: false, "": false} {
			o := run(command(ctx, t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", g.rtmp+"/"+stream+query))
			if played := strings.Contains(o.stdout, "h264"); played != want {
				t.Errorf("%s: played over RTMP %v, want %v: %s%s", stream, played, want, o.stdout, o.stderr)
			}
		}
	}
	for _, address := range g.watchURLs("deny/show", "x") {
		if got := status(ctx, t, "GET", address); got != 403 {
			t.Errorf("what nobody may watch is answered with %d", got)
		}
	}
}

// TestBrowserPlaysWithTokens plays as a page does that was given one URL.
func TestBrowserPlaysWithTokens(t *testing.T) {
	ctx := limit(t, 3*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	pushInBackground(ctx, t, src, g.rtmp+"/signed/show?token="+signedToken(ctx, t, "publish", "signed/show", time.Hour))
	pushInBackground(ctx, t, src, g.rtmp+"/jwt/show?token="+g.office.ticket(t, "publish", "jwt/show", time.Hour))
	pushInBackground(ctx, t, src, g.rtmp+"/callback/"+plantedName)
	pushInBackground(ctx, t, src, g.rtmp+"/keys/show?key="+plantedKey)
	signed := signedToken(ctx, t, "play", "signed/show", time.Hour)
	for _, test := range []struct{ name, kind, stream, way, token string }{
		{"keys", "hls", "keys/show", "hls", "none"},
		{"signed", "hls", "signed/show", "hls", signed},
		{"signed in the path", "hls", "signed/show", "hls by path", signed},
		{"jwt", "flv", "jwt/show", "flv", g.office.ticket(t, "play", "jwt/show", time.Hour)},
		{"callback", "hls", "callback/show", "hls", "good"},
	} {
		t.Run(test.name, func(t *testing.T) {
			urls := g.watchURLs(test.stream, test.token)
			waitForHLS(ctx, t, urls["hls"], 3)
			playInBrowser(ctx, t, test.kind, urls[test.way], time.Minute).started(ctx, t)
		})
	}
}
