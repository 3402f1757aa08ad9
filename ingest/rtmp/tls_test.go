package rtmp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate returns a certificate for "h" and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"h"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestRTMPOverTLS(t *testing.T) {
	cert, pool := certificate(t)
	client, server := tcpPair(t)
	s := serve(t, tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}), ServerConfig{}, nil)
	c, err := Dial(context.Background(), "rtmps://h/live/test", ClientConfig{
		TLS:  &tls.Config{RootCAs: pool},
		Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteMedia(TypeAudio, 7, []byte("a1")); err != nil {
		t.Fatal(err)
	}
	s.expect(t, `media 8 on 1 at 7: "a1"`)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.expect(t, "unpublish 1 ")
	if err := s.end(t); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
}

func TestClientDoesNotTrustAnyCertificate(t *testing.T) {
	cert, _ := certificate(t)
	client, server := tcpPair(t)
	s := serve(t, tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}), ServerConfig{}, nil)
	_, err := Dial(context.Background(), "rtmps://h/live/test", ClientConfig{
		Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	if err == nil {
		t.Error("connected to a server that nobody vouches for")
	}
	if err := s.end(t); err == nil {
		t.Error("the server has not noticed")
	}
}
