//go:build hostile

package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
)

// attacks returns what is tried.
func attacks() []attack {
	noise := rand.NewChaCha8([32]byte{'n'})
	garbage := make([]byte, 256<<10)
	_, _ = noise.Read(garbage)
	all := []attack{
		{name: "garbage", conns: 100, sends: append([]byte{0xff}, garbage...), reason: "not-rtmp"},
		{name: "garbage after a handshake", conns: 100, sends: append(bytes.Clone(hello), garbage...)},
		{name: "TLS on the RTMP port", conns: 100, sends: clientHello(), reason: "tls-on-rtmp-port"},
		{name: "HTTP on the RTMP port", conns: 100, sends: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), reason: "http-on-rtmp-port"},
	}
	for _, size := range []uint32{0, 0x80000000, 0xffffffff} {
		all = append(all, attack{
			name: fmt.Sprintf("chunk size %#x", size), conns: 100, reason: "chunk-size",
			sends: append(bytes.Clone(hello), 2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size)),
		})
	}
	return append(append(all, amfAttacks()...), chunkAttacks()...)
}

// clientHello is what crypto/tls says first.
func clientHello() []byte {
	client, server := net.Pipe()
	go func() { _ = tls.Client(client, &tls.Config{ServerName: "localhost"}).Handshake() }()
	b := make([]byte, 4096)
	n, _ := server.Read(b)
	_ = client.Close() // so that the handshake fails
	return b[:n]
}

// amfAttacks are commands that lie. The connection may go on after them, to no avail: no
// request comes.
func amfAttacks() []attack {
	const repeats = 5
	strict := func(count uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{10}, count), rest...)
	}
	lies := func(name string, conns int, values ...[]byte) attack {
		sends := bytes.Clone(hello)
		for range repeats {
			for _, v := range values {
				sends = append(sends, rawCommand("connect", v)...)
			}
		}
		return attack{name: name, conns: conns, sends: sends, reason: "command-timeout"}
	}
	// | object | empty name | object | empty name | ...
	const objectLevel = "\x03\x00\x00"
	deep := bytes.Repeat([]byte(objectLevel), 5_000_000)
	tooLong := append(bytes.Clone(hello), chunkHeader(400, 20, len(deep))...)
	tooLong = append(tooLong, deep...)
	return []attack{
		lies("strict arrays of 2^31 elements", 100, strict(1<<31), strict(1<<31, 5, 5, 5), strict(0xffffffff, 10, 0x80, 0, 0, 0)),
		lies("strict arrays of 60,000 elements", 20, strict(60_000, bytes.Repeat([]byte{5}, 60_000)...)),
		lies("arrays of arrays of arrays", 50, bytes.Repeat(strict(1<<31), 12_000)),
		{name: "nesting of 5 million levels", conns: 20, sends: tooLong, reason: "message-too-large"},
		lies("nesting of 20,000 levels", 50, []byte(deep[:60_000])),
		lies("strings longer than their message", 100,
			[]byte{2, 0xff, 0xff, 'a'}, []byte{12, 0xff, 0xff, 0xff, 0xff, 'a'}, []byte{15, 0x7f, 0xff, 0xff, 0xff},
			[]byte{3, 0xff, 0xff, 'a'}, []byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{16, 0xff, 0xff}),
	}
}

// chunkAttacks open many messages.
func chunkAttacks() []attack {
	const declared = 16<<20 - 1
	open := func(head []byte, csids int, kind byte, length int, body string) []byte {
		b := bytes.Clone(head)
		for i := range csids {
			b = append(append(b, chunkHeader(uint32(400+i), kind, length)...), body...)
		}
		return b
	}
	part := string(bytes.Repeat([]byte{7}, 128))
	return []attack{
		{name: "10,000 chunk streams that declare 16 MB", conns: 50, sends: open(hello, 10_000, 9, declared, part), reason: "message-too-large"},
		{name: "10,000 chunk streams that declare 16 MB of what is not known", conns: 50,
			sends: open(hello, 10_000, 99, declared, part), reason: "too-many-partials"},
		{name: "10,000 chunk streams of a publisher that declare 8 MB", conns: 1, authorised: true,
			sends: open(publishing("hostile"), 10_000, 9, 8<<20, part), reason: "too-many-partials"},
		{name: "60,000 chunk streams", conns: 2, sends: open(hello, 60_000, 9, 1, "x"), reason: "command-timeout"},
		{name: "60,000 unfinished messages", conns: 50, sends: open(hello, 60_000, 9, 1000, part), reason: "too-many-partials"},
		{name: "as much as a connection may hold", conns: 200, sends: open(hello, 30, 9, 64<<10, part), reason: "command-timeout"},
	}
}
