package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestASilentEncoderOverTLSEndsWithItsPublisher has the next process end a connection on which nothing comes.
func TestASilentEncoderOverTLSEndsWithItsPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		encoder, secure := net.Pipe()
		defer encoder.Close() //nolint:errcheck // a test
		near, far := net.Pipe()
		began := time.Now()
		_ = far.Close()
		pump{secure: secure, near: near}.run(t.Context())
		if took := time.Since(began); took > pumpEnd {
			t.Errorf("it took %v", took)
		}
	})
}
