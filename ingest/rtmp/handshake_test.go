package rtmp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/bluenviron/gortmplib/pkg/handshake"
)

// clientBlock returns a C1 with a signature at where the schema puts it: the
// pointer's four bytes at the offset pointer, the digest after it.
func clientBlock(seed byte, pointer int) (c1, digest []byte) {
	c1 = make([]byte, blockSize)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(c1)
	binary.BigEndian.PutUint32(c1[4:], 0x80000702)
	at := int(c1[pointer]) + int(c1[pointer+1]) + int(c1[pointer+2]) + int(c1[pointer+3])
	at = at%728 + pointer + 4
	mac := hmac.New(sha256.New, []byte("Genuine Adobe Flash Player 001"))
	mac.Write(c1[:at])
	mac.Write(c1[at+32:])
	copy(c1[at:], mac.Sum(nil))
	return c1, c1[at : at+32]
}

// shake plays a client of a server's handshake and returns S1 and S2.
func shake(t *testing.T, c1 []byte, pieces int) (s1, s2 []byte) {
	t.Helper()
	var out bytes.Buffer
	in := join([]byte{rtmpVersion}, c1, bytes.Repeat([]byte("?"), blockSize), "more")
	c := newChunkReader(inPieces(in, pieces), new(counters))
	if err := serverHandshake(c, func(b []byte) error { out.Write(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.need(4); err != nil || string(c.buf[c.r:][:4]) != "more" {
		t.Errorf("what follows is not left: %q, %v", c.buf[c.r:c.w], err)
	}
	b := out.Bytes()
	if len(b) != handshakeBytes || b[0] != rtmpVersion {
		t.Fatalf("answered with %d bytes, the first is %d", len(b), b[0])
	}
	return b[1:][:blockSize], b[1+blockSize:]
}

func TestSimpleHandshakeEchoesTheClient(t *testing.T) {
	for _, pieces := range []int{1, 1000, 1 << 20} {
		c1 := make([]byte, blockSize)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(c1[8:])
		s1, s2 := shake(t, c1, pieces)
		if !bytes.Equal(s2, c1) {
			t.Error("S2 is not C1")
		}
		if !bytes.Equal(s1[4:8], make([]byte, 4)) {
			t.Errorf("S1 has version % x", s1[4:8])
		}
	}
}

func TestDigestHandshakeIsSignedInTheClientsSchema(t *testing.T) {
	for seed := range byte(50) {
		for _, pointer := range []int{8, 772} {
			c1, digest := clientBlock(seed, pointer)
			s1, s2 := shake(t, c1, 1<<20)

			at := int(s1[pointer]) + int(s1[pointer+1]) + int(s1[pointer+2]) + int(s1[pointer+3])
			at = at%728 + pointer + 4
			mac := hmac.New(sha256.New, []byte("Genuine Adobe Flash Media Server 001"))
			mac.Write(s1[:at])
			mac.Write(s1[at+32:])
			if !hmac.Equal(mac.Sum(nil), s1[at:at+32]) {
				t.Fatalf("seed %d, pointer at %d: S1 is not signed", seed, pointer)
			}
			mac = hmac.New(sha256.New, append([]byte("Genuine Adobe Flash Media Server 001"),
				0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
				0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae))
			mac.Write(digest)
			mac = hmac.New(sha256.New, mac.Sum(nil))
			mac.Write(s2[:1504])
			if !hmac.Equal(mac.Sum(nil), s2[1504:]) {
				t.Fatalf("seed %d, pointer at %d: S2 is not signed", seed, pointer)
			}
		}
	}
}

func TestDigestThatDoesNotVerifyMeansTheSimpleHandshake(t *testing.T) {
	c1, digest := clientBlock(7, 8)
	digest[3] ^= 1
	if _, s2 := shake(t, c1, 1<<20); !bytes.Equal(s2, c1) {
		t.Error("S2 is not C1")
	}
}

func TestHandshakeWithOtherImplementations(t *testing.T) {
	client, server := tcpPair(t)
	result := make(chan error)
	go func() {
		_, _, err := handshake.DoClient(client, false, true) // strict: S2 must echo C1
		result <- err
	}()
	if err := NewServerConn(server, ServerConfig{}).Handshake(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}

	go func() {
		_, _, err := handshake.DoServer(server, true)
		result <- err
	}()
	err := clientHandshake(newChunkReader(client, new(counters)), func(b []byte) error {
		_, err := client.Write(b)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotRTMPIsNamed(t *testing.T) {
	for in, want := range map[string]string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": ReasonTLS,
		"\x16":                            ReasonTLS,
		"GET /live/test.flv HTTP/1.1\r\n": ReasonHTTP,
		"P":                               ReasonHTTP,
		"POST /fcs/ident2 HTTP/1.1\r\n":   ReasonHTTP,
		"\x06" + x200:                     ReasonEncrypted,
		"SSH-2.0-Go\r\n":                  ReasonNotRTMP,
		"\x16\x99":                        ReasonNotRTMP,
		"\x00":                            ReasonNotRTMP,
		"":                                ReasonEOF,
		"\x03":                            ReasonTruncated,
		string(hello()[:2000]):            ReasonTruncated,
	} {
		client, server := tcpPair(t)
		s := serve(t, server, ServerConfig{}, nil)
		if _, err := io.WriteString(client, in); err != nil {
			t.Fatal(err)
		}
		shut(client)
		if err := s.end(t); Reason(err) != want && Reason(err) != ReasonReset {
			t.Errorf("%.20q: %v (%s), want %s", in, err, Reason(err), want)
		}
	}
}
