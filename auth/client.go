package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// maxAnswerHeader bounds the header of an answer from a backend, in bytes.
const maxAnswerHeader = 16 << 10

// boundedClient returns a client for a URL from the configuration: it follows no redirect, uses no proxy that the
// environment names, and unpacks nothing. It keeps so many connections, and has no more than most.
func boundedClient(timeout time.Duration, keeps, most int) *http.Client {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    timeout,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    keeps,
			MaxConnsPerHost:        most,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxAnswerHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// withoutURL returns what may be said of an error of an http.Client: never the URL, which may hold a password or a
// key, and nothing that the backend sent, which may be what it was asked about.
func withoutURL(err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return errors.New("no answer in time")
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return errors.New("no valid HTTP answer")
}
