package rtmp

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"testing"
	"weak"
)

// TestAStateIsForgottenOnceItHasBeenRead keeps a message of a state, as a publication keeps its configuration.
func TestAStateIsForgottenOnceItHasBeenRead(t *testing.T) {
	s := &State{
		InChunkSize: 128, OutChunkSize: 128, Window: DefaultWindowAckSize, Streams: []StreamState{{ID: 1, Name: "test", Publishing: true}},
		ChunkStreams: []ChunkStreamState{{ID: 6, Length: 1000, Type: TypeVideo, Open: true, Got: 3, Partial: []byte("abc")}},
		Messages:     []MessageState{{Type: TypeVideo, StreamID: 1, Payload: []byte("configuration")}, {Type: TypeVideo, StreamID: 1, Payload: []byte("keyframe")}},
	}
	for range 10 {
		s.Unread = AppendMessage(s.Unread, ChunkStreamAudio, TypeAudio, 1, 0, s.InChunkSize, make([]byte, 64<<10))
	}
	s.BytesIn = uint64(len(s.Unread))
	in, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	state := weak.Make(&in[0])
	if err := s.UnmarshalBinary(in); err != nil {
		t.Fatal(err)
	}
	in = nil //nolint:wastedassign,ineffassign // it is not to be what keeps it
	conn, err := ResumeServerConn(replay{in: bytes.NewReader(nil)}, ServerConfig{}, s)
	if err != nil {
		t.Fatal(err)
	}
	s = nil //nolint:wastedassign,ineffassign // the same
	var kept []byte
	for {
		ev, err := conn.Next()
		if err != nil {
			if Reason(err) != ReasonTruncated && err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		if m, ok := ev.(*Media); ok && kept == nil {
			kept = m.Payload
		}
	}
	runtime.GC()
	if state.Value() != nil {
		t.Error("a message keeps all of the state that it was in")
	}
	if string(kept) != "configuration" {
		t.Errorf("the first message is %q", kept)
	}
	runtime.KeepAlive(conn)
}

func TestANumberThatIsNoneGoesOnElsewhere(t *testing.T) {
	for _, n := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 3} {
		p, s := newPeer(t, ServerConfig{}, nil)
		p.command(0, "connect", 1.0, Object{{"app", "live"}, {"tcUrl", "rtmp://host/live"}, {"objectEncoding", n}})
		p.expect("_result", 1)
		if _, err := ResumeServerConn(s.conn.nc, ServerConfig{}, carried(t, frozen(t, s))); err != nil {
			t.Error(err)
		}
	}
}
