package ingest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// tapped keeps what is read from a connection.
type tapped struct {
	net.Conn
	mu   sync.Mutex
	read []byte
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = append(c.read, b[:n]...)
	return n, err
}

func (c *tapped) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.read)
}

func TestConnectIsAnsweredWithTheCodecsThatAreForwarded(t *testing.T) {
	o := start(t, nil)
	var tap *tapped
	c, err := rtmp.Dial(t.Context(), o.url, rtmp.ClientConfig{
		Codecs: rtmp.Codecs{FourCCs: []string{"*"}}, // others than clients of Enhanced RTMP are told nothing
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			tap = &tapped{Conn: nc}
			return tap, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	answer := tap.bytes()
	forward := []byte{0, 0x40, 0x10, 0, 0, 0, 0, 0, 0} // the number 4 in AMF0
	for info, names := range map[string][]string{
		"videoFourCcInfoMap": {"avc1", "hvc1", "av01", "vp09"},
		"audioFourCcInfoMap": {"mp4a", "Opus", "ac-3", "ec-3", "fLaC"},
	} {
		_, in, found := bytes.Cut(answer, []byte(info))
		if !found {
			t.Fatalf("the answer has no %s", info)
		}
		in, _, _ = bytes.Cut(in, []byte{0, 0, 9})
		for _, name := range names {
			if !bytes.Contains(in, append([]byte(name), forward...)) {
				t.Errorf("%s does not forward %s", info, name)
			}
		}
		if n := bytes.Count(in, forward); n != len(names) {
			t.Errorf("%s has %d codecs, want %d", info, n, len(names))
		}
	}
	capabilities := append([]byte("capsEx"), 0, 0x40, 0x18, 0, 0, 0, 0, 0, 0) // 6: multitrack and ModEx
	if !bytes.Contains(answer, []byte("fourCcList")) || !bytes.Contains(answer, capabilities) {
		t.Error("the answer lacks fourCcList or capsEx")
	}
}
