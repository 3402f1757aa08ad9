package rtmp

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// State is a server's end of a connection on which somebody publishes, between two messages or in the midst of some:
// all that another process must know to go on with it. [ServerConn.Freeze] makes one, [ResumeServerConn] takes it.
//
// It is secret: a stream's query may be in it.
type State struct {
	// BytesIn are the bytes that came, of which Acked are acknowledged; the peer wants to hear of it every Window, and
	// was told Wanted (section 5.4.3).
	BytesIn, Acked, Window uint64
	Wanted                 uint32
	OutChunkSize           int // of what the peer is sent
	FCPublish              bool
	Connect                ConnectState
	Streams                []StreamState

	InChunkSize  int // of what the peer sends
	ChunkStreams []ChunkStreamState
	// Midway is the chunk stream in the midst of whose chunk Unread begins, MidwayLeft the bytes of that chunk that are
	// still to come; both 0 if it begins with a chunk.
	Midway     uint32
	MidwayLeft int
	// Messages were read and not dealt with, or are to be dealt with before all others.
	Messages []MessageState
	// Unread are bytes that were read and not looked at.
	Unread []byte `json:"-"`

	// Owner is what whoever has the connection adds.
	Owner json.RawMessage
}

// ConnectState is what the peer said of itself in connect.
type ConnectState struct {
	App, TcURL     []byte // as they came, in any encoding
	FlashVer, Type string
	ObjectEncoding float64
	Codecs         Codecs
}

// StreamState is a message stream.
type StreamState struct {
	ID         uint32
	Name       string
	Publishing bool
	Over       bool // a publication has ended on it or was refused, of which more may still come
}

// ChunkStreamState is what a chunk stream's next header refers back to, and its unfinished message, if it is Open: of
// Length bytes the first Got have come.
type ChunkStreamState struct {
	ID                         uint32
	Timestamp, Delta, StreamID uint32
	Length                     int
	Type                       uint8
	Extended                   bool
	ExtendedBytes              [4]byte
	Open, Discarded            bool
	Got                        int
	Partial                    []byte `json:"-"` // empty if they are discarded
}

// MessageState is a message.
type MessageState struct {
	Type                uint8
	StreamID, Timestamp uint32
	Payload             []byte `json:"-"`
}

const (
	// MaxState bounds a State in bytes: unfinished messages up to the limit of them, and what comes while a connection
	// is handed over.
	MaxState = 64 << 20
	// maxStateHeader bounds what is not media: 128 chunk streams, some thousand messages of an aggregate, and what was
	// said in connect.
	maxStateHeader = 1 << 20
	// maxStateMessages bounds Messages: those of an aggregate, and what a publication begins with.
	maxStateMessages = maxAggregateMessages + 256
	// maxChunkStreamID is the highest that a header can name.
	maxChunkStreamID = 65599
)

// A State in bytes:
//
//	| length of the header:32 | header: JSON, with the sizes of the blobs | blobs, one after the other |

// stateHeader is the part in JSON.
type stateHeader struct {
	*State
	Sizes []int // of blobs
}

// blobs are the parts of a state that are bytes, in their order.
func (s *State) blobs() []*[]byte {
	var all []*[]byte
	for i := range s.ChunkStreams {
		all = append(all, &s.ChunkStreams[i].Partial)
	}
	for i := range s.Messages {
		all = append(all, &s.Messages[i].Payload)
	}
	return append(all, &s.Unread)
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (s *State) MarshalBinary() ([]byte, error) {
	h, size := stateHeader{State: s}, 0
	for _, blob := range s.blobs() {
		h.Sizes = append(h.Sizes, len(*blob))
		size += len(*blob)
	}
	header, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode a connection's state: %w", err)
	}
	if len(header) > maxStateHeader || 4+len(header)+size > MaxState {
		return nil, errors.New("encode a connection's state: it is too large")
	}
	b := make([]byte, 0, 4+len(header)+size)
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	b = append(b, header...)
	for _, blob := range s.blobs() {
		b = append(b, *blob...)
	}
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. What is in s refers to b afterwards. What it returns without an
// error is within all bounds.
func (s *State) UnmarshalBinary(b []byte) error {
	*s = State{}
	if err := s.unmarshal(b); err != nil {
		return fmt.Errorf("decode a connection's state: %w", err)
	}
	return nil
}

func (s *State) unmarshal(b []byte) error {
	if len(b) < 4 || len(b) > MaxState {
		return errors.New("its size is out of range")
	}
	n := binary.BigEndian.Uint32(b)
	if b = b[4:]; n > maxStateHeader || int(n) > len(b) {
		return errors.New("the size of its header is out of range")
	}
	h := stateHeader{State: s}
	if err := json.Unmarshal(b[:n], &h); err != nil {
		return errors.New("its header is no JSON of a state") // the error might quote what is secret
	}
	blobs := s.blobs()
	if len(blobs) != len(h.Sizes) {
		return errors.New("its header has another number of sizes than of parts")
	}
	b = b[n:]
	for i, size := range h.Sizes {
		if size < 0 || size > len(b) {
			return errors.New("a part is longer than what there is")
		}
		*blobs[i], b = b[:size:size], b[size:]
	}
	if len(b) > 0 {
		return errors.New("something follows its parts")
	}
	return s.check()
}

// check finds what a connection cannot be in the midst of.
func (s *State) check() error {
	switch {
	case s.InChunkSize < 1 || s.InChunkSize > maxChunkSize || s.OutChunkSize < 1 || s.OutChunkSize > maxChunkSize:
		return errors.New("a chunk size is out of range")
	case s.Acked > s.BytesIn || s.Window < minAckWindow:
		return errors.New("its acknowledgements do not fit its bytes")
	case len(s.Messages) > maxStateMessages:
		return errors.New("it has too many messages")
	}
	for _, m := range s.Messages {
		if !isMedia(m.Type) || m.Type == typeAggregate {
			return errors.New("a message is no media")
		}
	}
	seen := make(map[uint32]bool)
	for i := range s.ChunkStreams {
		cs := &s.ChunkStreams[i]
		if cs.ID < 2 || cs.ID > maxChunkStreamID || seen[cs.ID] {
			return errors.New("the id of a chunk stream is out of range, or there twice")
		}
		seen[cs.ID] = true
		if err := cs.check(); err != nil {
			return err
		}
		if cs.ID == s.Midway && (!cs.Open || s.MidwayLeft < 1 || s.MidwayLeft > cs.Length-cs.Got) {
			return errors.New("the rest of a chunk is out of range")
		}
	}
	if s.Midway != 0 && !seen[s.Midway] {
		return errors.New("it is in the midst of an unknown chunk stream")
	}
	ids := make(map[uint32]bool)
	for _, ns := range s.Streams {
		if ids[ns.ID] {
			return errors.New("a message stream is there twice")
		}
		ids[ns.ID] = true
	}
	return nil
}

func (cs *ChunkStreamState) check() error {
	switch {
	case cs.Length < 0 || cs.Length > maxChunkSize:
		return errors.New("the length of a message is out of range")
	case !cs.Open && (cs.Got != 0 || len(cs.Partial) > 0):
		return errors.New("there is something of a message that has not begun")
	case cs.Got < 0 || (cs.Open && cs.Got >= max(1, cs.Length)):
		return errors.New("there is more of a message than it has, or all of it")
	case cs.Discarded && len(cs.Partial) > 0, !cs.Discarded && len(cs.Partial) != cs.Got:
		return errors.New("there is not as much of a message as has come")
	}
	return nil
}
