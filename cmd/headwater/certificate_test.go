package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest/rtmp"
)

// writeCertificate puts a self-signed certificate with a serial number where files are, by renaming.
func writeCertificate(t *testing.T, files config.TLSListener, serial int64) {
	t.Helper()
	writeCertificateFor(t, files, serial, time.Hour)
}

// writeCertificateFor puts one there that ends after a time, of 90 days.
func writeCertificateFor(t *testing.T, files config.TLSListener, serial int64, left time.Duration) {
	t.Helper()
	certificate, key := makeCertificate(t, serial, left)
	replaceFile(t, files.Cert, certificate)
	replaceFile(t, files.Key, key)
}

// replaceFile writes a file by renaming.
func replaceFile(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// makeCertificate makes a certificate and its key, as PEM.
func makeCertificate(t *testing.T, serial int64, left time.Duration) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(left - 90*24*time.Hour), NotAfter: time.Now().Add(left), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// secureServer runs a server with RTMPS and HTTPS.
func secureServer(t *testing.T) (*server, config.TLSListener) {
	t.Helper()
	dir := t.TempDir()
	files := config.TLSListener{Addr: "127.0.0.1:0", Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	writeCertificate(t, files, 1)
	return runServer(t, func(c *config.Config) { c.RTMPS, c.HTTPS = files, files }), files
}

// anyCertificate trusts what is self-signed.
func anyCertificate(maxVersion uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: maxVersion} //nolint:gosec // a test's own
}

// serial connects and returns the serial number of the certificate that is shown.
func serial(t *testing.T, addr string) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", addr, anyCertificate(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing was written
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestCertificatesAreReadAgainWithoutDroppingAnybody(t *testing.T) {
	s, files := secureServer(t)
	publisher, err := rtmp.Dial(t.Context(), "rtmps://"+s.listeners.addr("rtmps")+"/live/test", rtmp.ClientConfig{TLS: anyCertificate(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close() //nolint:errcheck // a test's own
	if err := publisher.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	viewer, err := tls.Dial("tcp", s.listeners.addr("https"), anyCertificate(0))
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Close() //nolint:errcheck // a test's own
	answers := bufio.NewReader(viewer)
	get := func() {
		t.Helper()
		if _, err := viewer.Write([]byte("GET /live/none.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answers.Discard(int(resp.ContentLength)); err != nil {
			t.Fatal(err)
		}
	}
	get()
	writeCertificate(t, files, 2)
	for _, listener := range []string{s.listeners.addr("https"), s.listeners.addr("rtmps")} {
		eventually(t, "the new certificate is shown", func() bool { return serial(t, listener) == 2 })
	}
	// Files that do not fit together change nothing.
	if err := os.WriteFile(files.Cert, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.certificates.all() {
		c.reload(s.logger)
	}
	if n := serial(t, s.listeners.addr("https")); n != 2 {
		t.Errorf("certificate %d is shown", n)
	}
	get()
	if err := publisher.WriteMedia(rtmp.TypeAudio, 0, []byte{0xaf, 0, 0x12, 0x10}); err != nil {
		t.Error(err)
	}
	eventually(t, "the publisher is still there", func() bool {
		stream := s.hub.Stream("live/test")
		return stream != nil && stream.Info().Publication.Counters.Messages > 0
	})
	if got := s.hub.Stream("live/test").Info().Publication.Protocol; got != "rtmps" {
		t.Errorf("the protocol is %q", got)
	}
}

func TestOldTLSIsRefusedAndHTTP2Spoken(t *testing.T) {
	s, _ := secureServer(t)
	for _, listener := range []string{s.listeners.addr("https"), s.listeners.addr("rtmps")} {
		if c, err := tls.Dial("tcp", listener, anyCertificate(tls.VersionTLS11)); err == nil {
			_ = c.Close()
			t.Error("TLS 1.1 is spoken")
		}
		c, err := tls.Dial("tcp", listener, anyCertificate(tls.VersionTLS12))
		if err != nil {
			t.Fatalf("TLS 1.2: %v", err)
		}
		_ = c.Close()
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: anyCertificate(0), ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + s.listeners.addr("https") + "/live/none.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 404 {
		t.Errorf("%s, %d", resp.Proto, resp.StatusCode)
	}
}

func TestAChangeOfFilesIsNoticedOnce(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "v1"), filepath.Join(dir, "current")
	for name, text := range map[string]string{"v1": "one", "v2": "two"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes, done := make(chan struct{}, 10), make(chan struct{})
	watch := newFileWatch(link)
	go func() {
		defer close(done)
		watch.run(ctx, nil, func() { changes <- struct{}{} })
	}()
	// The link points elsewhere: what many tools do that renew certificates.
	if err := os.Symlink(filepath.Join(dir, "v2"), link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changes:
	case <-time.After(30 * time.Second):
		t.Error("nobody noticed")
	}
	// Another file in the folder is nobody's business.
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	if len(changes) != 0 {
		t.Error("it was noticed twice")
	}
}

// TestAKeyThatComesLaterThanItsCertificate: until the two fit together the old certificate is shown, on both listeners,
// and that is said. Who is connected notices nothing, over HTTP/2 neither.
func TestAKeyThatComesLaterThanItsCertificate(t *testing.T) {
	s, files := secureServer(t)
	publication, next := publishSample(t, s, "live/test", 1)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: anyCertificate(0), ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	viewer, err := client.Get("https://" + s.listeners.addr("https") + "/live/test.flv")
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Body.Close() //nolint:errcheck // only read
	if viewer.ProtoMajor != 2 {
		t.Fatalf("%s is spoken", viewer.Proto)
	}
	player, err := rtmp.Dial(t.Context(), "rtmps://"+s.listeners.addr("rtmps")+"/live/test", rtmp.ClientConfig{TLS: anyCertificate(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer player.Close() //nolint:errcheck // a test's own
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown := func(want int64) func() bool {
		return func() bool {
			return serial(t, s.listeners.addr("https")) == want && serial(t, s.listeners.addr("rtmps")) == want
		}
	}
	stale := func(want bool) func() bool {
		return func() bool {
			all := s.access.staleFiles()
			return all["https certificate"] == want && all["rtmps certificate"] == want
		}
	}
	certificate, key := makeCertificate(t, 2, time.Hour)
	replaceFile(t, files.Cert, certificate)
	eventually(t, "it is said that they do not fit", stale(true))
	if !shown(1)() {
		t.Error("another certificate is shown than the old one")
	}
	replaceFile(t, files.Key, key)
	eventually(t, "the new certificate is shown", shown(2))
	eventually(t, "all is well", stale(false))

	writeSample(t, publication, 1, next)
	if _, err := io.CopyN(io.Discard, viewer.Body, sampleBytes(t)); err != nil {
		t.Errorf("who watched over HTTP/2: %v", err)
	}
	for frames := 0; frames < 10; frames++ {
		if _, err := player.ReadMedia(); err != nil {
			t.Fatalf("who watched over RTMPS: %v", err)
		}
	}
}

// TestACertificateThatWasNotReplacedIsSaid in the log, by a metric, and by readiness when it is too late.
func TestACertificateThatWasNotReplacedIsSaid(t *testing.T) {
	dir := t.TempDir()
	files := config.TLSListener{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	const day = 24 * time.Hour
	writeCertificateFor(t, files, 1, 10*day)
	lines := ""
	for _, listener := range []string{"https", "rtmps"} {
		lines += listener + ".addr: 127.0.0.1:0\n" + listener + ".cert: " + files.Cert + "\n" + listener + ".key: " + files.Key + "\n"
	}
	r := newReloadable(t, lines)
	said := func(what string) int { return strings.Count(r.log.String(), what) }
	eventually(t, "it is said at the start", func() bool { return said("certificate expires soon") == 2 })
	end := func() time.Time { return r.certificateExpiries()["https"] }
	_, metrics := status(t, r.adminURL("/metrics"))
	for _, listener := range []string{"https", "rtmps"} {
		if line := fmt.Sprintf("headwater_tls_certificate_expiry_timestamp_seconds{listener=%q} %v\n", listener, float64(end().Unix())); !strings.Contains(metrics, line) {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	writeCertificateFor(t, files, 2, 80*day)
	eventually(t, "it was replaced", func() bool { return time.Until(end()) > 70*day })
	if said("certificate expires soon") != 2 {
		t.Error("the new one is said to expire soon")
	}
	if _, body := status(t, r.adminURL("/readyz")); strings.Contains(body, "expired") {
		t.Errorf("readiness: %s", body)
	}
	writeCertificateFor(t, files, 3, -time.Minute)
	eventually(t, "it is said that it has expired", func() bool { return said("certificate has expired") == 2 })
	if _, body := status(t, r.adminURL("/readyz")); !strings.Contains(body, "certificates have expired: https, rtmps") {
		t.Errorf("readiness: %s", body)
	}
	if !r.reload("") {
		t.Fatal(r.log.String())
	}
	if _, body := status(t, r.adminURL("/readyz")); strings.Contains(body, "expired") {
		t.Errorf("readiness speaks of listeners that are off: %s", body)
	}
}
