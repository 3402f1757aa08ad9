package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Secrets that the servers of these tests have. None of them may be seen again.
const (
	plantedKey    = "PLANTED-publish-key"
	plantedName   = "PLANTED-name-key"
	plantedSecret = "PLANTED-signing-secret-of-some-length"
	plantedShared = "PLANTED-secret-of-tokens-with-HS256"
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

// selfSigned writes a certificate of this machine's and its key.
func selfSigned(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return secretFile(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}))),
		secretFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// signedToken makes a token with the command line, as an operator does.
func signedToken(ctx context.Context, t testing.TB, action, stream string, ttl time.Duration, more ...string) string {
	t.Helper()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(ctx, t, path, append([]string{"token", action, stream, "--bare", "--ttl", ttl.String()}, more...)...)
	cmd.Env = append(os.Environ(), "HEADWATER_AUTH_SECRET="+plantedSecret)
	cmd.Dir = t.TempDir()
	o := run(cmd)
	if err := o.clean(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(o.stdout)
}

// guarded is a server whose applications each have a policy of their own, over plain connections and TLS.
type guarded struct {
	*server
	office  *ticketOffice
	backend *backend
	keys    string // file
}

const keyLines = "keys/show " + plantedKey + "\nkeys/alias name:" + plantedName + "\nlocal/alias name:" + plantedName + "\n"

func startGuarded(t *testing.T, flags ...string) *guarded {
	t.Helper()
	g := &guarded{office: newTicketOffice(t), backend: newBackend(t), keys: secretFile(t, "keys", keyLines)}
	cert, key := selfSigned(t)
	g.server = startServer(t, append([]string{
		"--auth.publish=keys/*=keys; signed/*=signed; jwt/*=jwt; callback/*=callback; open/*=open; local/*=loopback, keys; deny",
		"--auth.watch=signed/*=signed; jwt/*=jwt; callback/*=callback; local/*=loopback; deny/*=deny; open",
		"--auth.keys_file=" + g.keys, "--auth.secret_file=" + secretFile(t, "secret", plantedSecret),
		"--auth.jwt_keys_file=" + g.office.keys, "--auth.jwks_url=" + g.office.jwks, "--auth.jwt_secret=" + plantedShared,
		"--auth.callback_url=" + g.backend.URL + "/?key=" + plantedURLKey,
		"--https.addr=127.0.0.1:0", "--https.cert=" + cert, "--https.key=" + key,
		"--rtmps.addr=127.0.0.1:0", "--rtmps.cert=" + cert, "--rtmps.key=" + key,
		"--log.level=debug", "--hls.segment=1s",
	}, flags...)...)
	g.excuse("watch: loopback is closed to pages of other sites", "cors-missing")
	ctx := limit(t, time.Minute)
	g.patrol.admit(map[string]string{
		"signed/show":  signedToken(ctx, t, "play", "signed/show", time.Hour),
		"signed/brief": signedToken(ctx, t, "play", "signed/brief", time.Hour),
		"jwt":          g.office.ticket(t, "play", "jwt/*", time.Hour),
		"callback":     "good",
	})
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

// watchURLs are where a stream can be watched with a token, by protocol. The scheme "ws" is a WebSocket.
func (g *guarded) watchURLs(stream, token string) map[string]string {
	query := "?token=" + token
	path := "/t/" + token + "/" + stream
	return map[string]string{
		"hls": g.http + "/" + stream + "/index.m3u8" + query, "hls by name": g.http + "/" + stream + ".m3u8" + query,
		"hls by path": g.http + path + "/index.m3u8", "hls over HTTP/2": g.https + "/" + stream + "/index.m3u8" + query,
		"flv": g.http + "/" + stream + ".flv" + query, "flv by path": g.http + path + ".flv",
		"flv over HTTP/2": g.https + "/" + stream + ".flv" + query,
		"ts":              g.http + "/" + stream + ".ts" + query, "ts by path": g.http + path + ".ts", "ts over HTTP/2": g.https + "/" + stream + ".ts" + query,
		"websocket by path": "ws" + strings.TrimPrefix(g.http, "http") + path + ".flv",
		"websocket":         "ws" + strings.TrimPrefix(g.http, "http") + "/" + stream + ".flv" + query,
	}
}

// secureClient speaks HTTP/2 with whoever has a certificate of these tests.
var secureClient = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true, //nolint:gosec // a test's certificate
}}

// open begins a request to one of these addresses.
func open(ctx context.Context, t testing.TB, method, address string, headers ...string) *http.Response {
	t.Helper()
	plain, socket := strings.CutPrefix(address, "ws://")
	if socket {
		address = "http://" + plain
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if socket {
		headers = append(headers, "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := viewerClient
	if req.URL.Scheme == "https" {
		client = secureClient
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	if req.URL.Scheme == "https" && resp.ProtoMajor != 2 {
		t.Errorf("%s is spoken over TLS", resp.Proto)
	}
	return resp
}

// status returns how a request is answered, without reading to the end of what has none. A WebSocket that is opened is
// a success like others.
func status(ctx context.Context, t testing.TB, method, address string, headers ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp := open(ctx, t, method, address, headers...)
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return http.StatusOK
	}
	return resp.StatusCode
}

// playlistURIs fetches a playlist and returns what it names.
func playlistURIs(ctx context.Context, t *testing.T, address string) (uris []string, header http.Header, text string) {
	t.Helper()
	resp := open(ctx, t, http.MethodGet, address)
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("playlist: %d, %v", resp.StatusCode, err)
	}
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			u, err := base.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			uris = append(uris, u.String())
		}
	}
	return uris, resp.Header, string(body)
}
