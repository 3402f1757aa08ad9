package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// attacks returns what the server must end at once.
func attacks() []attack {
	noise := rand.NewChaCha8([32]byte{'n'})
	garbage := make([]byte, 256<<10)
	_, _ = noise.Read(garbage)
	all := []attack{
		{name: "garbage", conns: 100, sends: append([]byte{0xff}, garbage...), reason: "not-rtmp"},
		{name: "garbage after a handshake", conns: 100, sends: append(bytes.Clone(hello), garbage...), reason: "chunk-header"},
		{name: "TLS on the RTMP port", conns: 100, sends: clientHello(), reason: "tls-on-rtmp-port"},
		{name: "HTTP on the RTMP port", conns: 100, sends: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), reason: "http-on-rtmp-port"},
	}
	for _, size := range []uint32{0, 0x80000000, 0xffffffff} {
		all = append(all, attack{
			name: fmt.Sprintf("chunk size %#x", size), conns: 100, reason: "chunk-size",
			sends: append(bytes.Clone(hello), 2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size)),
		})
	}
	all = append(all, chunkAttacks()...)
	all = append(all, requestFloods()...)
	return append(all, playerFloods()...)
}

// requestFloods ask for all that is answered without a decision, and for what needs one.
func requestFloods() []attack {
	message := func(kind uint8, stream uint32, body ...byte) []byte {
		return rtmp.AppendMessage(nil, 3, kind, stream, 0, 128, body)
	}
	all := bytes.Join([][]byte{
		message(4, 0, 0, 6, 0, 0, 0, 7),                                                       // a ping
		message(5, 0, 0, 0, 0, 1), message(6, 0, 0, 0, 0, 1, 2), message(6, 0, 0, 0, 0, 2, 2), // windows
		append(chunkHeader(400, 9, 1000), partOfMessage...), // in which the chunk size changes
		message(1, 0, 0, 0, 0, 128),
		message(17, 0, append([]byte{0}, rtmp.AppendAMF0(nil, "what", 1.0, nil)...)...), // in AMF3
		message(17, 0, 0, 0x11, 10, 11, 1),
		message(rtmp.TypeAudio, 1, 0xaf, 1, 0x21), message(rtmp.TypeVideo, 1),
		message(22, 1, bytes.Repeat([]byte{8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11}, 20)...), // an aggregate
		rtmpCommand(0, "createStream", 9.0, nil),
		rtmpCommand(0, "deleteStream", 9.0, nil, 2.0),
	}, nil)
	again := append(rtmpCommand(1, "closeStream", 0.0, nil), rtmpCommand(1, "publish", 0.0, nil, "hostile", "live")...)
	return []attack{
		{name: "strangers that ask for all but a decision", conns: 50, reason: "too-much-before-authorisation",
			sends: append(connected(), bytes.Repeat(all, (1<<20)/len(all))...)},
		{name: "a publisher that begins and ends all the time", conns: 1, authorised: true, reason: "too-many-requests",
			sends: append(publishing("hostile"), bytes.Repeat(again, 10_000)...)},
	}
}

// playerFloods are players of the stream that is live who send what players may send, and far more of it: what costs
// the server most by the byte.
func playerFloods() []attack {
	const flood = 4 << 20
	repeat := func(message []byte) []byte {
		return append(playing("beside"), bytes.Repeat(message, flood/len(message))...)
	}
	zero := chunkHeader(400, 4, 0)
	return []attack{
		{name: "players that seek all the time", conns: 50, authorised: true, reason: "player-flood",
			sends: repeat(rtmpCommand(1, "seek", 7.0, nil, 0.0))},
		{name: "players that send empty messages", conns: 50, authorised: true, reason: "player-flood",
			sends: append(append(playing("beside"), zero...), bytes.Repeat([]byte{0xc0 | 1, zero[1], zero[2]}, flood/3)...)},
		{name: "players that open objects in objects", conns: 50, authorised: true, reason: "player-flood",
			sends: repeat(rawCommand("seek", bytes.Repeat([]byte(objectLevel), 10_000)))},
	}
}

// lies returns what the server may bear, to no avail: no request comes, and it ends the connection
// when its time is up.
func lies() []attack {
	return append(append(amfLies(), chunkLies()...), manyIDs())
}

// manyIDs plays the stream that is live on message streams of many ids, for each of which a server might keep what it
// sends. None of them was created.
func manyIDs() attack {
	sends := connected()
	for id := uint32(100); id < 500; id++ {
		sends = append(sends, rtmpCommand(id, "play", 3.0, nil, "beside", -2.0)...)
	}
	return attack{name: "plays on 400 message streams", conns: 20, sends: sends, reason: "command-timeout"}
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

// amfLies are commands whose values are not what they say.
func amfLies() []attack {
	strict := func(count uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{10}, count), rest...)
	}
	lie := func(name string, conns int, values ...[]byte) attack {
		sends := bytes.Clone(hello)
		for _, v := range values {
			sends = append(sends, rawCommand("connect", v)...)
		}
		return attack{name: name, conns: conns, sends: sends, reason: "command-timeout"}
	}
	return []attack{
		lie("strict arrays of 2^31 elements", 100, strict(1<<31), strict(1<<31, 5, 5, 5), strict(0xffffffff, 10, 0x80, 0, 0, 0)),
		lie("strict arrays of 60,000 elements", 20, strict(60_000, bytes.Repeat([]byte{5}, 60_000)...)),
		lie("arrays of arrays of arrays", 50, bytes.Repeat(strict(1<<31), 12_000)),
		lie("nesting of 20,000 levels", 50, bytes.Repeat([]byte(objectLevel), 20_000)),
		lie("strings longer than their message", 100,
			[]byte{2, 0xff, 0xff, 'a'}, []byte{12, 0xff, 0xff, 0xff, 0xff, 'a'}, []byte{15, 0x7f, 0xff, 0xff, 0xff},
			[]byte{3, 0xff, 0xff, 'a'}, []byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{16, 0xff, 0xff}),
	}
}

// objectLevel is | object | empty name |: again and again, it is objects in objects.
const objectLevel = "\x03\x00\x00"

// partOfMessage is what comes of messages that do not end.
var partOfMessage = bytes.Repeat([]byte{7}, 128)

// openMessages begins a message on each of many chunk streams.
func openMessages(head []byte, csids int, kind byte, length int, body []byte) []byte {
	b := bytes.Clone(head)
	for i := range csids {
		b = append(append(b, chunkHeader(uint32(400+i), kind, length)...), body...)
	}
	return b
}

// chunkAttacks open more messages than there may be, or longer ones.
func chunkAttacks() []attack {
	const declared = 16<<20 - 1
	deep := bytes.Repeat([]byte(objectLevel), 5_000_000)
	deep = append(append(bytes.Clone(hello), chunkHeader(400, 20, len(deep))...), deep...)
	return []attack{
		{name: "nesting of 5 million levels", conns: 20, sends: deep, reason: "message-too-large"},
		{name: "10,000 chunk streams that declare 16 MB", conns: 50,
			sends: openMessages(hello, 10_000, 9, declared, partOfMessage), reason: "message-too-large"},
		{name: "10,000 chunk streams that declare 16 MB of what is not known", conns: 50,
			sends: openMessages(hello, 10_000, 99, declared, partOfMessage), reason: "too-many-partials"},
		{name: "10,000 chunk streams of a publisher that declare 8 MB", conns: 1, authorised: true,
			sends: openMessages(publishing("hostile"), 10_000, 9, 8<<20, partOfMessage), reason: "too-many-partials"},
		{name: "60,000 chunk streams", conns: 50, sends: openMessages(hello, 60_000, 9, 1, []byte("x")),
			reason: "too-much-before-authorisation"},
		{name: "60,000 unfinished messages", conns: 50,
			sends: openMessages(hello, 60_000, 9, 1000, partOfMessage), reason: "too-many-partials"},
	}
}

// chunkLies hold what an unknown connection may hold.
func chunkLies() []attack {
	return []attack{
		{name: "4,000 chunk streams", conns: 10, sends: openMessages(hello, 4_000, 9, 1, []byte("x")), reason: "command-timeout"},
		{name: "as much as a connection may hold", conns: 200,
			sends: openNarrow(hello, 14, 9, 64<<10, partOfMessage), reason: "command-timeout"},
	}
}

// openNarrow is openMessages on chunk streams with ids of one byte, of which strangers may have all.
func openNarrow(head []byte, csids int, kind byte, length int, body []byte) []byte {
	b := bytes.Clone(head)
	for i := range csids {
		wide := chunkHeader(64, kind, length)
		b = append(append(append(b, byte(10+i)), wide[3:]...), body...)
	}
	return b
}
