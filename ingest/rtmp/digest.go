package rtmp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// The digest handshake signs C1 and S1 with an HMAC-SHA256 of the other 1504
// bytes, at an offset that four bytes of the block give. There are two schemas,
// which differ in where these bytes are:
//
//	schema 0  | time:32 | version:32 | key, 764 bytes | offset:32, digest in 760 bytes |
//	schema 1  | time:32 | version:32 | offset:32, digest in 760 bytes | key, 764 bytes |
//
// S2 and C2 are 1504 random bytes and their HMAC under a key made of the
// digest they answer.
const digestSize = sha256.Size

// digestArea is the offset of the four offset bytes in each schema.
var digestArea = [2]int{8 + 764, 8}

// The first 30 and 36 bytes of the keys sign the first blocks, the whole keys
// the second ones.
var (
	keyTail   = "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae"
	clientKey = []byte("Genuine Adobe Flash Player 001")
	serverKey = []byte("Genuine Adobe Flash Media Server 001")
	answerKey = append(serverKey[:len(serverKey):len(serverKey)], keyTail...)
)

// digestOffset returns where a schema has the digest of a block.
func digestOffset(block []byte, schema int) int {
	area := digestArea[schema]
	sum := 0
	for _, b := range block[area : area+4] {
		sum += int(b)
	}
	return area + 4 + sum%(764-4-digestSize)
}

func blockDigest(block []byte, at int, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(block[:at])
	mac.Write(block[at+digestSize:])
	return mac.Sum(nil)
}

// clientDigest looks for a valid signature in C1. Without a version, or where
// none verifies, the handshake is the simple one.
func clientDigest(c1 []byte) (schema int, digest []byte, ok bool) {
	if binary.BigEndian.Uint32(c1[4:]) == 0 {
		return 0, nil, false
	}
	for schema := range digestArea {
		at := digestOffset(c1, schema)
		digest := blockDigest(c1, at, clientKey)
		if hmac.Equal(digest, c1[at:at+digestSize]) {
			return schema, digest, true
		}
	}
	return 0, nil, false
}

// sign puts the server's signature into S1.
func sign(s1 []byte, schema int) {
	at := digestOffset(s1, schema)
	copy(s1[at:], blockDigest(s1, at, serverKey))
}

// signAnswer signs S2 as the answer to a digest of C1.
func signAnswer(s2, digest []byte) {
	mac := hmac.New(sha256.New, answerKey)
	mac.Write(digest)
	key := mac.Sum(nil)
	mac = hmac.New(sha256.New, key)
	mac.Write(s2[:blockSize-digestSize])
	copy(s2[blockSize-digestSize:], mac.Sum(nil))
}
