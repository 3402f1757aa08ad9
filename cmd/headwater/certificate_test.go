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
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest/rtmp"
)

// writeCertificate puts a self-signed certificate with a serial number where files are, by renaming.
func writeCertificate(t *testing.T, files config.TLSListener, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: public}, files.Key: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
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
	for _, c := range s.certificates {
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
