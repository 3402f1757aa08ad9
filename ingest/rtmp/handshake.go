package rtmp

import (
	"bytes"
	"crypto/rand"
)

// The handshake (RTMP 1.0, section 5.2):
//
//	client                          server
//	C0 | 3 |  C1 | 1536 bytes | -->
//	                            <-- S0 | 3 |  S1 | 1536 bytes |  S2 | 1536 bytes |
//	C2 | 1536 bytes |           -->
//
//	C1, S1  | time:32 | zero:32 | random, 1528 bytes |
//	C2, S2  | time of the other's 1:32 | time it was read:32 | its random bytes |
//
// In the digest handshake, which Adobe never published, the second word is a
// version and there is a signature in the random bytes: see digest.go. C2 is not
// checked: what clients echo differs, and nothing depends on it.
const (
	rtmpVersion = 3
	blockSize   = 1536
)

// serverHandshake reads C0, C1 and C2 from c and has S0, S1 and S2 sent.
func serverHandshake(c *chunkReader, send func([]byte) error) error {
	if err := c.need(1); err != nil {
		return wrapRead("handshake: read C0", err)
	}
	if c.buf[c.r] != rtmpVersion {
		return notRTMP(c.buf[c.r:c.w])
	}
	if err := c.need(1 + blockSize); err != nil {
		return wrapRead("handshake: read C1", err)
	}
	c1 := c.buf[c.r+1:][:blockSize]
	answer := make([]byte, 1+2*blockSize)
	answer[0] = rtmpVersion
	s1, s2 := answer[1:][:blockSize], answer[1+blockSize:]
	_, _ = rand.Read(answer[1:]) // never fails
	if schema, digest, ok := clientDigest(c1); ok {
		copy(s1, []byte{0, 0, 0, 0, 4, 5, 0, 1}) // any version but 0
		sign(s1, schema)
		signAnswer(s2, digest)
	} else {
		clear(s1[:8])
		copy(s2, c1)
	}
	c.r += 1 + blockSize
	if err := send(answer); err != nil {
		return err
	}
	if err := c.need(blockSize); err != nil {
		return wrapRead("handshake: read C2", noEOF(err))
	}
	c.r += blockSize
	return nil
}

// clientHandshake sends C0, C1 and C2, the simple ones, and reads the answers.
func clientHandshake(c *chunkReader, send func([]byte) error) error {
	hello := make([]byte, 1+blockSize)
	_, _ = rand.Read(hello[9:]) // never fails
	hello[0] = rtmpVersion
	if err := send(hello); err != nil {
		return err
	}
	if err := c.need(1 + 2*blockSize); err != nil {
		return wrapRead("handshake: read S0, S1 and S2", noEOF(err))
	}
	if c.buf[c.r] != rtmpVersion {
		return fault(ReasonNotRTMP, "handshake: read S0", "the server does not speak RTMP")
	}
	s1 := bytes.Clone(c.buf[c.r+1:][:blockSize])
	c.r += 1 + 2*blockSize
	return send(s1)
}

// notRTMP says what came in the place of C0.
func notRTMP(b []byte) error {
	const op = "handshake: read C0"
	switch {
	case b[0] == 6 || b[0] == 8 || b[0] == 9:
		return fault(ReasonEncrypted, op, "the client asks for encrypted RTMP (RTMPE), which is not supported")
	case b[0] == 0x16 && (len(b) == 1 || b[1] == 3):
		return fault(ReasonTLS, op, "a TLS ClientHello: this port speaks plain RTMP, use rtmp:// or the RTMPS port")
	case looksLikeHTTP(b):
		return fault(ReasonHTTP, op, "an HTTP request: this port speaks RTMP")
	}
	return fault(ReasonNotRTMP, op, "the first byte is not RTMP version 3")
}

func looksLikeHTTP(b []byte) bool {
	for _, method := range []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "CONNECT ", "PRI ", "PATCH ", "TRACE "} {
		if n := min(len(b), len(method)); string(b[:n]) == method[:n] {
			return true
		}
	}
	return false
}
