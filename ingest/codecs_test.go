package ingest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"

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

// tapServer passes the first connection on to a server, and returns what that sent when it has
// been closed.
func tapServer(t *testing.T, server string) (addr string, sent func() []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answers bytes.Buffer
	var passing sync.WaitGroup
	passing.Go(func() {
		client, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = client.Close() }()
		nc, err := net.Dial("tcp", server)
		if err != nil {
			t.Error(err)
			return
		}
		passing.Go(func() {
			_, _ = io.Copy(nc, client) // to the end of either
			_ = nc.Close()
		})
		_, _ = io.Copy(io.MultiWriter(client, &answers), nc)
	})
	t.Cleanup(func() { _ = l.Close(); passing.Wait() })
	return l.Addr().String(), func() []byte { passing.Wait(); return answers.Bytes() }
}

// TestAnotherEnhancedClientIsToldTheCodecs has gortmplib connect, which lists its codecs as
// Enhanced RTMP says, and reads the answer with gortmplib too.
func TestAnotherEnhancedClientIsToldTheCodecs(t *testing.T) {
	o := start(t, nil)
	server, _, _ := strings.Cut(strings.TrimPrefix(o.url, "rtmp://"), "/")
	addr, sent := tapServer(t, server)
	u, err := url.Parse("rtmp://" + addr + "/live/test")
	if err != nil {
		t.Fatal(err)
	}
	c := &gortmplib.Client{URL: u} // it lists them where it plays
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Initialize(ctx); err != nil {
		t.Fatal(err)
	}
	c.Close()
	answer := connectAnswer(t, sent())
	for key, want := range map[string]any{
		"fourCcList": amf0.StrictArray{"avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "ac-3", "ec-3", "fLaC"},
		"capsEx":     6.0,
	} {
		if got, _ := answer.Get(key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	for key, codecs := range map[string]int{"videoFourCcInfoMap": 4, "audioFourCcInfoMap": 5} {
		info, _ := answer.Get(key)
		object, _ := info.(amf0.Object)
		if len(object) != codecs {
			t.Errorf("%s is %v, want %d codecs", key, info, codecs)
		}
		for _, entry := range object {
			if entry.Value != 4.0 {
				t.Errorf("%s: %s is %v, want 4 for forward", key, entry.Key, entry.Value)
			}
		}
	}
}

// connectAnswer returns the properties in the _result of connect, the first command that a server
// sends.
func connectAnswer(t *testing.T, sent []byte) amf0.Object {
	t.Helper()
	const handshake = 1 + 2*1536
	counter := bytecounter.NewReader(bytes.NewReader(sent[min(handshake, len(sent)):]))
	r := rawmessage.NewReader(counter, counter, func(uint32) error { return nil })
	for {
		m, err := r.Read()
		if err != nil {
			t.Fatalf("before the answer to connect: %v", err)
		}
		switch m.Type {
		case 1:
			if err := r.SetChunkSize(64 << 10); err != nil {
				t.Fatal(err)
			}
		case 20:
			values, err := amf0.Unmarshal(m.Body)
			if err != nil || len(values) < 3 || values[0] != "_result" {
				t.Fatalf("the first command is %v: %v", values, err)
			}
			properties, _ := values[2].(amf0.Object)
			return properties
		}
	}
}
