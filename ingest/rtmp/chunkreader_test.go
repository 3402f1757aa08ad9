package rtmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// header returns the chunk header of a type with a one-byte chunk stream id.
// time is cut to 24 bits as it is; extended timestamps are for the test to add.
func header(format byte, csid byte, time uint32, length int, kind uint8) []byte {
	b := []byte{format<<6 | csid}
	if format < 3 {
		b = appendUint24(b, min(time, extendedMark))
	}
	if format < 2 {
		b = append(appendUint24(b, uint32(length)), kind)
	}
	if format == 0 {
		b = binary.LittleEndian.AppendUint32(b, 1)
	}
	if format < 3 && time >= extendedMark {
		b = binary.BigEndian.AppendUint32(b, time)
	}
	return b
}

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, p...)
		}
	}
	return b
}

// chunkCase is what a byte stream means. It is tested whole and byte by byte, as
// an authorised peer's, and seeds the fuzz target.
type chunkCase struct {
	name   string
	in     []byte
	want   []message
	reason string // of the error that follows; "" for io.EOF
	skips  map[Skip]uint64
}

var x200 = strings.Repeat("x", 200)

func audio(time uint32, payload string) message {
	return message{kind: TypeAudio, streamID: 1, timestamp: time, payload: []byte(payload)}
}

func chunkCases() []chunkCase {
	return []chunkCase{
		{name: "chunk stream ids of two and three bytes", in: join(
			[]byte{0x00, 0}, header(0, 0, 5, 2, TypeAudio)[1:], "a1", // csid 64
			[]byte{0x00, 255}, header(0, 0, 6, 2, TypeAudio)[1:], "a2", // csid 319
			[]byte{0x01, 0, 1}, header(0, 0, 7, 2, TypeAudio)[1:], "a3", // csid 320
			[]byte{0x01, 255, 255}, header(0, 0, 8, 130, TypeAudio)[1:], x200[:128], []byte{0xc1, 255, 255}, x200[:2], // csid 65599
			[]byte{0x41, 0, 0}, header(1, 0, 10, 2, TypeAudio)[1:], "a4", // csid 64 in three bytes
		), want: []message{audio(5, "a1"), audio(6, "a2"), audio(7, "a3"), audio(8, x200[:130]), audio(15, "a4")}},
		{name: "Set Chunk Size on an audio chunk stream", in: join(
			header(0, 4, 0, 4, typeSetChunkSize), []byte{0, 0, 0, 200},
			header(0, 4, 9, 200, TypeAudio), x200,
		), want: []message{audio(9, x200)}},
		{name: "Set Chunk Size within a partial message of another chunk stream", in: join(
			header(0, 6, 9, 200, TypeAudio), x200[:128],
			header(0, 2, 0, 4, typeSetChunkSize), []byte{0, 0, 0, 50},
			header(3, 6, 0, 0, 0), x200[:50], header(3, 6, 0, 0, 0), x200[:22],
		), want: []message{audio(9, x200)}},
		{name: "Set Chunk Size above the largest message", in: join(
			header(0, 2, 0, 4, typeSetChunkSize), []byte{0x7f, 0xff, 0xff, 0xff},
			header(0, 4, 9, 200, TypeAudio), x200,
		), want: []message{audio(9, x200)}},
		{name: "Set Chunk Size of 0", in: join(header(0, 2, 0, 4, typeSetChunkSize), []byte{0, 0, 0, 0}), reason: ReasonChunkSize},
		{name: "Set Chunk Size with bit 31", in: join(header(0, 2, 0, 4, typeSetChunkSize), []byte{0x80, 0, 0, 1}), reason: ReasonChunkSize},
		{name: "Set Chunk Size of three bytes", in: join(header(0, 2, 0, 3, typeSetChunkSize), []byte{0, 1, 0}), reason: ReasonChunkSize},

		{name: "a chunk stream that begins with type 1", in: join(header(1, 4, 7, 2, TypeAudio), "a1"),
			want: []message{{kind: TypeAudio, timestamp: 7, payload: []byte("a1")}}},
		{name: "a chunk stream that begins with type 2", in: join(header(2, 4, 7, 0, 0), "a1"), reason: ReasonChunkHeader},
		{name: "a chunk stream that begins with type 3", in: join(header(3, 4, 0, 0, 0), "a1"), reason: ReasonChunkHeader},

		{name: "extended timestamp repeated in type 3", in: join(
			header(0, 4, 1<<24+5, 200, TypeAudio), x200[:128], header(3, 4, 0, 0, 0), []byte{1, 0, 0, 5}, x200[:72],
		), want: []message{audio(1<<24+5, x200)}},
		{name: "extended timestamp left out in type 3", in: join(
			header(0, 4, 1<<24+5, 200, TypeAudio), x200[:128], header(3, 4, 0, 0, 0), x200[:72],
		), want: []message{audio(1<<24+5, x200)}},
		{name: "extended timestamp left out before the last byte of a stream", in: join(
			header(0, 4, 1<<24+5, 129, TypeAudio), x200[:128], header(3, 4, 0, 0, 0), "x",
		), want: []message{audio(1<<24+5, x200[:129])}},
		{name: "payload that looks like half an extended timestamp", in: join(
			header(0, 4, 1<<24+5, 132, TypeAudio), x200[:128], header(3, 4, 0, 0, 0), []byte{1, 0, 0, 6},
		), want: []message{audio(1<<24+5, x200[:128]+"\x01\x00\x00\x06")}},
		{name: "timestamp of exactly 0xffffff", in: join(header(0, 4, 0xffffff, 2, TypeAudio), "a1", header(1, 4, 1, 2, TypeAudio), "a2"),
			want: []message{audio(0xffffff, "a1"), audio(1<<24, "a2")}},
		{name: "extended delta", in: join(
			header(0, 4, 0, 2, TypeAudio), "a1", header(1, 4, 16780000, 2, TypeAudio), "a2", header(2, 4, 20, 0, 0), "a3",
		), want: []message{audio(0, "a1"), audio(16780000, "a2"), audio(16780020, "a3")}},
		{name: "negative delta", in: join(
			header(0, 4, 1000, 2, TypeAudio), "a1", header(1, 4, 0xffffffdd, 2, TypeAudio), "a2", header(2, 4, 0xffffffff, 0, 0), "a3",
		), want: []message{audio(1000, "a1"), audio(965, "a2"), audio(964, "a3")}},
		{name: "type 3 that begins a message after an extended delta", in: join(
			header(0, 4, 0, 2, TypeAudio), "a1", header(1, 4, 1<<24, 2, TypeAudio), "a2", header(3, 4, 0, 0, 0), []byte{1, 0, 0, 0}, "a3",
		), want: []message{audio(0, "a1"), audio(1<<24, "a2"), audio(2<<24, "a3")}},
		{name: "timestamp that wraps", in: join(header(0, 4, 0xfffffff0, 2, TypeAudio), "a1", header(2, 4, 0x20, 0, 0), "a2"),
			want: []message{audio(0xfffffff0, "a1"), audio(0x10, "a2")}},

		{name: "type 3 after a type 0 whose time can be a frame duration", in: join(
			header(0, 4, 40, 2, TypeAudio), "a1", header(3, 4, 0, 0, 0), "a2", header(3, 4, 0, 0, 0), "a3",
		), want: []message{audio(40, "a1"), audio(80, "a2"), audio(120, "a3")}},
		{name: "type 3 after a type 0 whose time cannot be a frame duration", in: join(
			header(0, 4, 5000, 2, TypeAudio), "a1", header(3, 4, 0, 0, 0), "a2", header(3, 4, 0, 0, 0), "a3",
		), want: []message{audio(5000, "a1"), audio(5000, "a2"), audio(5000, "a3")}},
		{name: "type 3 after a delta", in: join(
			header(0, 4, 5000, 2, TypeAudio), "a1", header(2, 4, 23, 0, 0), "a2", header(3, 4, 0, 0, 0), "a3",
		), want: []message{audio(5000, "a1"), audio(5023, "a2"), audio(5046, "a3")}},

		{name: "interleaved chunk streams", in: join(
			header(0, 6, 1, 300, TypeVideo), x200[:128], header(0, 4, 2, 150, TypeAudio), x200[:128],
			header(3, 6, 0, 0, 0), x200[:128], header(3, 4, 0, 0, 0), x200[:22], header(3, 6, 0, 0, 0), x200[:44],
		), want: []message{audio(2, x200[:150]), {kind: TypeVideo, streamID: 1, timestamp: 1, payload: []byte(x200 + x200[:100])}}},
		{name: "Abort", in: join(
			header(0, 4, 1, 200, TypeAudio), x200[:128], header(0, 2, 0, 4, typeAbort), []byte{0, 0, 0, 4},
			header(1, 4, 9, 2, TypeAudio), "a1",
		), want: []message{audio(10, "a1")}, skips: map[Skip]uint64{SkipAborted: 1}},
		{name: "Abort of nothing, and too short", in: join(
			header(0, 2, 0, 4, typeAbort), []byte{0, 0, 0, 9}, header(0, 2, 0, 2, typeAbort), []byte{0, 0}, header(0, 4, 1, 2, TypeAudio), "a1",
		), want: []message{audio(1, "a1")}, skips: map[Skip]uint64{SkipMalformedControl: 1}},
		{name: "a header within a message", in: join(
			header(0, 4, 1, 200, TypeAudio), x200[:128], header(0, 4, 9, 2, TypeAudio), "a1",
		), want: []message{audio(9, "a1")}, skips: map[Skip]uint64{SkipInterrupted: 1}},

		{name: "messages of no bytes", in: join(
			header(0, 4, 1, 0, TypeAudio), header(3, 4, 0, 0, 0), header(1, 4, 5, 2, TypeAudio), "a1",
		), want: []message{audio(1, ""), audio(2, ""), audio(7, "a1")}},
		{name: "unknown message types", in: join(
			header(0, 4, 1, 200, 99), x200[:128], header(3, 4, 0, 0, 0), x200[:72], header(0, 7, 1, 0, 0), header(0, 4, 5, 2, TypeAudio), "a1",
		), want: []message{audio(5, "a1")}, skips: map[Skip]uint64{SkipUnknownType: 2}},

		{name: "a stream that ends within a header", in: header(0, 4, 1, 2, TypeAudio)[:5], reason: ReasonTruncated},
		{name: "a stream that ends within a payload", in: join(header(0, 4, 1, 2, TypeAudio), "a"), reason: ReasonTruncated},
		{name: "a stream that ends between the chunks of a message", in: join(header(0, 4, 1, 200, TypeAudio), x200[:128]), reason: ReasonTruncated},
		{name: "a command of 64 KiB and a byte", in: header(0, 3, 0, 64<<10+1, typeCommandAMF0), reason: ReasonMessageTooLarge},
		{name: "metadata of 64 KiB and a byte", in: header(0, 3, 0, 64<<10+1, TypeData), reason: ReasonMessageTooLarge},
		{name: "a message above the limit", in: header(0, 3, 0, DefaultMaxMessage+1, TypeVideo), reason: ReasonMessageTooLarge},
	}
}

func TestChunkStream(t *testing.T) {
	for _, c := range append(chunkCases(), aggregateCases()...) {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 3, 1 << 20} {
				c.check(t, inPieces(c.in, size))
			}
		})
	}
}

func (c chunkCase) check(t *testing.T, src io.Reader) {
	t.Helper()
	stats := new(counters)
	r := newChunkReader(src, stats)
	r.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
	for i, want := range c.want {
		got, err := r.next()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if got.kind != want.kind || got.streamID != want.streamID || got.timestamp != want.timestamp || !bytes.Equal(got.payload, want.payload) {
			t.Fatalf("message %d: type %d, stream %d, time %d, %q\nwant type %d, stream %d, time %d, %q", i,
				got.kind, got.streamID, got.timestamp, got.payload, want.kind, want.streamID, want.timestamp, want.payload)
		}
	}
	m, err := r.next()
	want := c.reason
	if want == "" {
		want = ReasonEOF
	}
	if Reason(err) != want || (want == ReasonEOF && err != io.EOF) {
		t.Errorf("ended with a message of type %d and %v, want %s", m.kind, err, want)
	}
	for skip, n := range stats.snapshot().Skipped {
		if c.skips[skip] != n {
			t.Errorf("skipped %d times for %v, want %d", n, skip, c.skips[skip])
		}
	}
	for skip, n := range c.skips {
		if stats.skipped[skip].Load() != n {
			t.Errorf("skipped %d times for %v, want %d", stats.skipped[skip].Load(), skip, n)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMemoryIsTakenForBytesThatCameNotForDeclaredOnes(t *testing.T) {
	// One byte of 8 MiB on each of 60 chunk streams.
	var b []byte
	b = append(b, join(header(0, 2, 0, 4, typeSetChunkSize), []byte{0, 0, 0, 1})...)
	for csid := byte(3); csid < 63; csid++ {
		b = append(b, join(header(0, csid, 0, DefaultMaxMessage, TypeVideo), "x")...)
	}
	for _, authorised := range []bool{false, true} {
		limit := uint64(6 << 20) // 64 KiB each
		if !authorised {
			limit = 256 << 10
		}
		var err error
		took := allocated(func() {
			r := newChunkReader(bytes.NewReader(b), new(counters))
			if authorised {
				r.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
			}
			_, err = r.next()
		})
		if want := map[bool]string{false: ReasonMessageTooLarge, true: ReasonTruncated}[authorised]; Reason(err) != want {
			t.Errorf("authorised %v: %v, want %s", authorised, err, want)
		}
		if took > limit {
			t.Errorf("authorised %v: %d bytes for 61 bytes of payload, want at most %d", authorised, took, limit)
		}
	}
}

func TestUnauthorisedPeerHoldsLittle(t *testing.T) {
	// As much as there can be of 64 KiB messages on all chunk streams.
	b := join(header(0, 2, 0, 4, typeSetChunkSize), []byte{0, 0, 0xff, 0xff})
	payload := make([]byte, 0xffff)
	for csid := byte(3); csid < 63; csid++ {
		b = append(b, join(header(0, csid, 0, 64<<10, typeCommandAMF0), payload)...)
	}
	var err error
	took := allocated(func() { _, err = newChunkReader(bytes.NewReader(b), new(counters)).next() })
	if Reason(err) != ReasonPartialBytes {
		t.Errorf("%v, want %s", err, ReasonPartialBytes)
	}
	if took > 512<<10 {
		t.Errorf("took %d bytes before it gave up", took)
	}
}

func TestPartialMessagesAreBounded(t *testing.T) {
	var b []byte
	b = append(b, join(header(0, 2, 0, 4, typeSetChunkSize), []byte{0, 0, 0, 1})...)
	for csid := uint32(3); csid < 3+DefaultMaxPartialMessages+1; csid++ {
		b = append(b, AppendMessage(nil, csid, TypeVideo, 1, 0, 1, []byte("xx"))[:len(appendBasicHeader(nil, 0, csid))+11+1]...)
	}
	c := newChunkReader(bytes.NewReader(b), new(counters))
	c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
	if _, err := c.next(); Reason(err) != ReasonPartialMessages {
		t.Errorf("%v, want %s", err, ReasonPartialMessages)
	}
}

func TestFewerUnfinishedMessagesMayBeAllowed(t *testing.T) {
	b := hello()
	for csid := uint32(3); csid < 3+5; csid++ {
		b = append(b, AppendMessage(nil, csid, TypeVideo, 1, 0, 128, []byte(x200))[:12+128]...)
	}
	for allowed, want := range map[int]string{4: ReasonPartialMessages, 5: ReasonTruncated} {
		conn := NewServerConn(replay{in: bytes.NewReader(b)}, ServerConfig{MaxPartialMessages: allowed})
		if err := conn.Handshake(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Next(); Reason(err) != want {
			t.Errorf("of five with %d allowed: %v, want %s", allowed, err, want)
		}
	}
}

func TestEveryChunkStreamIDMayBeUsed(t *testing.T) {
	var b []byte
	for csid := uint32(2); csid <= 65599; csid++ {
		b = AppendMessage(b, csid, TypeAudio, 1, csid, 128, []byte("a1"))
	}
	stats := new(counters)
	took := allocated(func() {
		c := newChunkReader(bytes.NewReader(b), stats)
		for csid := uint32(2); csid <= 65599; csid++ {
			if m, err := c.next(); err != nil || m.timestamp != csid {
				t.Fatalf("chunk stream %d: time %d, %v", csid, m.timestamp, err)
			}
			if len(c.wide) > maxWideChunkStreams {
				t.Fatalf("%d chunk streams remembered", len(c.wide))
			}
		}
	})
	if took > 64<<10 {
		t.Errorf("took %d bytes: nobody knows this peer, and it has said nothing", took)
	}
}

func TestWideChunkStreamsInUseAreRemembered(t *testing.T) {
	// Half a message on one, a message now and then on another, and many more
	// that come and go.
	half := AppendMessage(nil, 1000, TypeVideo, 1, 7, 128, []byte(x200))
	b := bytes.Clone(half[:3+11+128])
	b = AppendMessage(b, 2000, TypeAudio, 1, 0, 128, []byte("a"))
	const others = 3 * maxWideChunkStreams
	for csid := uint32(3000); csid < 3000+others; csid++ {
		b = AppendMessage(b, csid, TypeAudio, 1, 0, 128, []byte("o"))
		b = append(b, join(appendBasicHeader(nil, 2, 2000), []byte{0, 0, 20}, "a")...)
	}
	b = append(b, half[3+11+128:]...)
	c := newChunkReader(bytes.NewReader(b), new(counters))
	var last message
	for range 1 + 2*others + 1 {
		m, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == TypeAudio && string(m.payload) == "a" {
			last = m
			continue
		}
		if m.kind == TypeVideo && (m.timestamp != 7 || string(m.payload) != x200) {
			t.Errorf("the message in halves is %q at %d", m.payload, m.timestamp)
		}
	}
	if last.timestamp != 20*others {
		t.Errorf("the chunk stream in use is at %d, want %d", last.timestamp, 20*others)
	}
}

func TestSourceThatReadsNothingIsGivenUp(t *testing.T) {
	c := newChunkReader(readerFunc(func([]byte) (int, error) { return 0, nil }), new(counters))
	if _, err := c.next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v, want %v", err, io.ErrNoProgress)
	}
}

func TestErrorAfterBytesIsReportedAfterThem(t *testing.T) {
	in := join(header(0, 4, 3, 2, TypeAudio), "a1")
	broken := errors.New("broken")
	c := newChunkReader(readerFunc(func(p []byte) (int, error) { return copy(p, in), broken }), new(counters))
	if m, err := c.next(); err != nil || m.timestamp != 3 {
		t.Fatalf("%v, %v", m, err)
	}
	if _, err := c.next(); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}
