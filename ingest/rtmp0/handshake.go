package rtmp

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
)

// The handshake (RTMP 1.0, section 5.2): each side sends one byte of version and two
// packets of 1536 bytes.
//
//	C0 | version 8 |
//	C1 | time 32 | zero, or Flash version 32 | random 1528 bytes |
//	C2 | time 32 | time read 32 | the random bytes of S1 |
//
// A client that puts its version where C1 has zero expects a digest: 32 bytes of
// HMAC-SHA256 over the rest of the packet, at a place that four bytes before it, or
// four at the packet's middle, tell.
const (
	handshakeVersion = 3
	handshakeSize    = 1536
	digestSize       = sha256.Size
	// schemaBlock is the size of the two blocks that digest and key lie in.
	schemaBlock = 764
)

var (
	clientKey = []byte("Genuine Adobe Flash Player 001")
	serverKey = []byte("Genuine Adobe Flash Media Server 001")
	// keySuffix completes the keys where S2 is signed.
	keySuffix = []byte{
		0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
		0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
	}
)

// serverVersion is what S1 says in digest handshakes: that of a server which players
// know to sign.
const serverVersion = 0x04050001

// serverHandshake reads C0 to C2 and answers. What C2 echoes is not looked at: some
// encoders send it before S1 can have come.
func serverHandshake(rw io.ReadWriter) error {
	var c [1 + handshakeSize]byte
	if _, err := io.ReadFull(rw, c[:1]); err != nil {
		return fmt.Errorf("read C0: %w", err)
	}
	if err := checkVersion(c[0]); err != nil {
		return err
	}
	if _, err := io.ReadFull(rw, c[1:]); err != nil {
		return fmt.Errorf("read C1: %w", err)
	}
	if _, err := rw.Write(answer(c[1:])); err != nil {
		return fmt.Errorf("write S0 to S2: %w", err)
	}
	if _, err := io.ReadFull(rw, c[1:]); err != nil {
		return fmt.Errorf("read C2: %w", err)
	}
	return nil
}

func checkVersion(b byte) error {
	switch {
	case b == handshakeVersion:
		return nil
	case b == 0x16:
		return ErrTLS
	case bytes.IndexByte([]byte("GPHODC"), b) >= 0: // GET, POST, HEAD, OPTIONS, DELETE, CONNECT
		return ErrHTTP
	}
	return fmt.Errorf("%w: version %d", ErrNotRTMP, b)
}

// answer returns S0, S1 and S2 for a C1.
func answer(c1 []byte) []byte {
	out := make([]byte, 1+2*handshakeSize)
	out[0] = handshakeVersion
	s1, s2 := out[1:1+handshakeSize], out[1+handshakeSize:]
	_, _ = rand.Read(s1[8:]) // never fails, by its documentation
	if binary.BigEndian.Uint32(c1[4:]) != 0 {
		for schema := range 2 {
			if digest, ok := findDigest(c1, schema, clientKey); ok {
				binary.BigEndian.PutUint32(s1[4:], serverVersion)
				at := digestOffset(s1, schema)
				copy(s1[at:], sum(serverKey, s1[:at], s1[at+digestSize:]))
				signS2(s2, digest)
				return out
			}
		}
	}
	copy(s2, c1) // simple: the echo, with the time it was read left as it is
	return out
}

// signS2 fills S2 with random bytes and the signature that proves that C1 was read.
func signS2(s2, digest []byte) {
	n := handshakeSize - digestSize
	_, _ = rand.Read(s2[:n])
	key := sum(append(bytes.Clone(serverKey), keySuffix...), digest)
	copy(s2[n:], sum(key, s2[:n]))
}

// digestOffset returns where the digest of a packet lies: schema 0 has it in the first
// block behind the header, schema 1 in the second.
func digestOffset(p []byte, schema int) int {
	base := 8
	if schema == 1 {
		base += schemaBlock
	}
	at := 0
	for _, b := range p[base : base+4] {
		at += int(b)
	}
	return base + 4 + at%(schemaBlock-4-digestSize)
}

func findDigest(p []byte, schema int, key []byte) ([]byte, bool) {
	at := digestOffset(p, schema)
	digest := p[at : at+digestSize]
	want := sum(key, p[:at], p[at+digestSize:])
	return digest, subtle.ConstantTimeCompare(digest, want) == 1
}

func sum(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// clientHandshake is the client's side, without digest.
func clientHandshake(rw io.ReadWriter) error {
	var c [1 + handshakeSize]byte
	c[0] = handshakeVersion
	_, _ = rand.Read(c[9:])
	if _, err := rw.Write(c[:]); err != nil {
		return fmt.Errorf("write C0 and C1: %w", err)
	}
	var s [1 + 2*handshakeSize]byte
	if _, err := io.ReadFull(rw, s[:]); err != nil {
		return fmt.Errorf("read S0 to S2: %w", err)
	}
	if s[0] != handshakeVersion {
		return fmt.Errorf("%w: version %d", ErrNotRTMP, s[0])
	}
	if _, err := rw.Write(s[1 : 1+handshakeSize]); err != nil {
		return fmt.Errorf("write C2: %w", err)
	}
	return nil
}
