package rtmp

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// sender makes chunks in all the ways the specification leaves open: any type of
// header that fits, chunk streams interleaved, the chunk size changed at any
// time. It keeps to the specification by the letter, with its own bookkeeping.
type sender struct {
	random    *rand.Rand
	out       []byte
	chunkSize int
	streams   []*sending
	done      []message // in the order in which their last chunks are sent
}

type sending struct {
	csid   uint32
	begun  bool
	last   message
	delta  uint32
	field  uint32 // timestamp or delta of the last header with one
	queue  []message
	rest   []byte // of the message being sent
	within bool
}

func (s *sender) basic(format byte, csid uint32) {
	switch {
	case csid < 64 && csid > 1:
		s.out = append(s.out, format<<6|byte(csid))
	case csid < 320 && s.random.IntN(2) == 0:
		s.out = append(s.out, format<<6, byte(csid-64))
	default:
		s.out = append(s.out, format<<6|1, byte(csid-64), byte((csid-64)>>8))
	}
}

func (s *sender) header(st *sending) {
	if st.within {
		s.basic(3, st.csid)
		s.extended(st.field)
		return
	}
	m := st.queue[0]
	delta := m.timestamp - st.last.timestamp
	format := byte(0)
	if st.begun && m.streamID == st.last.streamID {
		format = byte(s.random.IntN(2))
		if m.kind == st.last.kind && len(m.payload) == len(st.last.payload) {
			format = byte(s.random.IntN(3))
			if delta == st.delta {
				format = byte(s.random.IntN(4))
			}
		}
	}
	s.basic(format, st.csid)
	if format == 0 {
		st.field, st.delta = m.timestamp, m.timestamp
		if m.timestamp > maxImpliedDelta {
			st.delta = 0
		}
	} else if format < 3 {
		st.field, st.delta = delta, delta
	}
	if format < 3 {
		s.out = appendUint24(s.out, min(st.field, extendedMark))
	}
	if format < 2 {
		s.out = append(appendUint24(s.out, uint32(len(m.payload))), m.kind)
	}
	if format == 0 {
		s.out = binary.LittleEndian.AppendUint32(s.out, m.streamID)
	}
	s.extended(st.field)
	st.begun, st.last, st.rest, st.within = true, m, m.payload, true
	st.queue = st.queue[1:]
}

func (s *sender) extended(field uint32) {
	if field >= extendedMark {
		s.out = binary.BigEndian.AppendUint32(s.out, field)
	}
}

// chunk sends a chunk of a stream.
func (s *sender) chunk(st *sending) {
	s.header(st)
	n := min(s.chunkSize, len(st.rest))
	s.out = append(s.out, st.rest[:n]...)
	if st.rest = st.rest[n:]; len(st.rest) == 0 {
		st.within = false
		s.done = append(s.done, st.last)
	}
}

func (s *sender) message(time uint32) message {
	kinds := []uint8{TypeAudio, TypeVideo, TypeData, typeCommandAMF0}
	sizes := []int{0, 1, 5, 127, 128, 129, 400, 5000, 31 << 10, 33 << 10, 60 << 10}
	if s.random.IntN(20) == 0 {
		sizes = []int{100 << 10, 300 << 10}
	}
	m := message{
		kind: kinds[s.random.IntN(len(kinds))], streamID: uint32(s.random.IntN(2)),
		timestamp: time, payload: make([]byte, sizes[s.random.IntN(len(sizes))]),
	}
	if m.kind != TypeAudio && m.kind != TypeVideo {
		m.payload = m.payload[:min(len(m.payload), maxCommandSize)]
	}
	for i := range m.payload {
		m.payload[i] = byte(s.random.Uint32())
	}
	return m
}

func newSender(seed uint64, messages int) *sender {
	s := &sender{random: rand.New(rand.NewPCG(seed, 1)), chunkSize: defaultChunkSize}
	for i := range 1 + s.random.IntN(5) {
		st := &sending{csid: []uint32{3, 63, 64, 319, 65599}[i]}
		time := uint32(s.random.Uint32())
		for range messages {
			time += []uint32{0, 20, 20, 40, 0xffffffdd, 1 << 24}[s.random.IntN(6)]
			st.queue = append(st.queue, s.message(time))
		}
		s.streams = append(s.streams, st)
	}
	return s
}

// run sends everything. Bursts of chunks of one stream are as usual as single ones.
func (s *sender) run() {
	for {
		open := slices.DeleteFunc(slices.Clone(s.streams), func(st *sending) bool { return !st.within && len(st.queue) == 0 })
		if len(open) == 0 {
			return
		}
		if s.random.IntN(30) == 0 {
			s.chunkSize = []int{1 + s.random.IntN(300), 128, 4096, 60000}[s.random.IntN(4)]
			s.out = appendControl(s.out, typeSetChunkSize, uint32(s.chunkSize))
		}
		st := open[s.random.IntN(len(open))]
		for n := s.random.IntN(200); n >= 0 && (st.within || len(st.queue) > 0); n-- {
			s.chunk(st)
		}
	}
}

// TestWhateverIsSentIsReadAndStaysAsItIs also compares all payloads when the
// last has been read: none may have been written over.
func TestWhateverIsSentIsReadAndStaysAsItIs(t *testing.T) {
	for seed := range uint64(60) {
		s := newSender(seed, 40)
		s.run()
		src := bytes.NewReader(s.out)
		c := newChunkReader(readerFunc(func(p []byte) (int, error) {
			return src.Read(p[:min(len(p), 1+s.random.IntN(1<<s.random.IntN(20)))])
		}), new(counters))
		c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
		var got []message
		for {
			m, err := c.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("seed %d: after %d messages: %v", seed, len(got), err)
			}
			if len(m.payload) != cap(m.payload) {
				t.Fatalf("seed %d: a payload can be appended to in place", seed)
			}
			if !isMedia(m.kind) {
				m.payload = bytes.Clone(m.payload) // not promised to stay
			}
			got = append(got, m)
		}
		if len(got) != len(s.done) {
			t.Fatalf("seed %d: %d messages, want %d", seed, len(got), len(s.done))
		}
		for i, want := range s.done {
			if recordOf(got[i]) != recordOf(want) {
				t.Fatalf("seed %d: message %d differs", seed, i)
			}
		}
		if c.open != 0 || c.partial != 0 || c.building != nil {
			t.Errorf("seed %d: %d messages and %d bytes are left over", seed, c.open, c.partial)
		}
	}
}

func TestAppendMessageIsReadByOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for _, chunkSize := range []int{128, 4096, 65536} {
		b := appendControl(nil, typeSetChunkSize, uint32(chunkSize))
		var want []record
		for _, size := range []int{0, 1, 127, 128, 129, 256, 5000, 70000, 200000} {
			for _, time := range []uint32{0, 40, 0xfffffe, 0xffffff, 1 << 24, 0xffffffff} {
				m := message{kind: TypeVideo, streamID: 1, timestamp: time, payload: make([]byte, size)}
				for i := range m.payload {
					m.payload[i] = byte(random.Uint32())
				}
				b = AppendMessage(b, ChunkStreamVideo, m.kind, m.streamID, m.timestamp, chunkSize, m.payload)
				want = append(want, recordOf(m))
			}
		}
		if !slices.Equal(oracle(t, b), want) {
			t.Errorf("chunk size %d: gortmplib reads other messages", chunkSize)
		}
		if !slices.Equal(readAll(t, bytes.NewReader(b), true), want) {
			t.Errorf("chunk size %d: read other messages", chunkSize)
		}
	}
}

func TestAppendMessageUsesTheShortestBasicHeader(t *testing.T) {
	for csid, want := range map[uint32][]byte{
		2: {2}, 63: {63}, 64: {0, 0}, 319: {0, 255}, 320: {1, 0, 1}, 65599: {1, 255, 255},
	} {
		if b := AppendMessage(nil, csid, TypeAudio, 1, 0, 128, nil); !bytes.HasPrefix(b, want) || len(b) != len(want)+11 {
			t.Errorf("chunk stream %d: % x", csid, b)
		}
	}
}

func TestMessagesAreCutWhereTheyWerePutTogether(t *testing.T) {
	for _, csid := range []uint32{2, 63, 64, 319, 320, 65599} {
		for _, time := range []uint32{0, extendedMark - 1, extendedMark, 1<<32 - 1} {
			for _, size := range []int{0, 1, 127, 128, 129, 256, 1000} {
				const chunkSize = 128
				one := AppendMessage(nil, csid, TypeVideo, 1, time, chunkSize, make([]byte, size))
				gotID, message, rest := CutMessage(append(one[:len(one):len(one)], "rest"...), chunkSize)
				if gotID != csid || !bytes.Equal(message, one) || string(rest) != "rest" {
					t.Fatalf("%d bytes at %d on %d: cut into %d and %d bytes on %d", size, time, csid, len(message), len(rest), gotID)
				}
			}
		}
	}
}
