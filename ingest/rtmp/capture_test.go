package rtmp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

// capture is a recording of what an encoder sent, with the counts and times
// that the README beside it gives.
type capture struct {
	file         string
	video, audio int       // messages
	videoTimes   [2]uint32 // of the first and the last coded frame
	audioTimes   [2]uint32
	app          string
	name, query  string
	encoder      string
}

var captures = []capture{
	{"03c-ffmpeg51-ext-ts-large-keyframe", 32, 54, [2]uint32{16780000, 16781160}, [2]uint32{16779977, 16781184}, "live", "test", "", "FMLE/3.0 (compatible; Lavf59.27.100)"},
	{"04-ffmpeg51-audio-only", 0, 347, [2]uint32{}, [2]uint32{0, 8011}, "live", "test", "", "FMLE/3.0 (compatible; Lavf59.27.100)"},
	{"06-gst122-rtmp2sink", 202, 346, [2]uint32{3, 7963}, [2]uint32{0, 7988}, "live", "test", "", "LNX 10,0,32,18"},
	{"07-gst122-rtmpsink-librtmp", 202, 346, [2]uint32{4, 7964}, [2]uint32{0, 7987}, "live", "test", "", ""},
	{"07b-gst122-rtmpsink-librtmp-ext-ts", 202, 343, [2]uint32{16780000, 16787960}, [2]uint32{16780077, 16787995}, "live", "test", "", ""},
	{"08-obs29-x264-aac-token", 205, 320, [2]uint32{0, 6766}, [2]uint32{0, 6784}, "live", "test", "token=abc", "FMLE/3.0 (compatible; FMSc/1.0)"},
	{"09-ffmpeg51-sps-change", 203, 349, [2]uint32{23, 7983}, [2]uint32{0, 8017}, "live", "test", "", "FMLE/3.0 (compatible; Lavf59.27.100)"},
}

const handshakeBytes = 1 + 2*blockSize

func (c capture) read(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "captures", c.file+".c2s"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// record is what is compared of a message.
type record struct {
	kind      uint8
	streamID  uint32
	timestamp uint32
	size      int
	hash      [sha256.Size]byte
}

func recordOf(m message) record {
	return record{m.kind, m.streamID, m.timestamp, len(m.payload), sha256.Sum256(m.payload)}
}

// oracle reads the messages of a chunk stream with gortmplib's reader, which
// shares no code with this package's.
func oracle(t testing.TB, chunks []byte) []record {
	t.Helper()
	counter := bytecounter.NewReader(bytes.NewReader(chunks))
	r := rawmessage.NewReader(counter, counter, func(uint32) error { return nil })
	var records []record
	for {
		m, err := r.Read()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("oracle: %v", err)
			}
			return records
		}
		if m.Type == typeSetChunkSize {
			size, err := parseChunkSize(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.SetChunkSize(uint32(size)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// Its message stream id is read with the bytes turned around.
		id := m.MessageStreamID
		id = id>>24 | id>>8&0xff00 | id<<8&0xff0000 | id<<24
		records = append(records, record{m.Type, id, uint32(m.Timestamp / time.Millisecond), len(m.Body), sha256.Sum256(m.Body)})
	}
}

// inPieces returns a reader that gives at most n bytes at a time.
func inPieces(b []byte, n int) io.Reader {
	r := bytes.NewReader(b)
	return readerFunc(func(p []byte) (int, error) { return r.Read(p[:min(n, len(p))]) })
}

func readAll(t testing.TB, src io.Reader, authorised bool) []record {
	t.Helper()
	c := newChunkReader(src, new(counters))
	if authorised {
		c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
	}
	var records []record
	for {
		m, err := c.next()
		if err == io.EOF {
			return records
		}
		if err != nil {
			t.Fatalf("after %d messages: %v", len(records), err)
		}
		records = append(records, recordOf(m))
	}
}

func TestCapturesReadAlikeInPiecesOfAnySize(t *testing.T) {
	for _, c := range captures {
		chunks := c.read(t)[handshakeBytes:]
		want := oracle(t, chunks)
		for _, size := range []int{1, 2, 3, 7, 127, 129, 1000, 4096, 65537, len(chunks)} {
			t.Run(fmt.Sprintf("%s/%d", c.file, size), func(t *testing.T) {
				got := readAll(t, inPieces(chunks, size), true)
				if !slices.Equal(got, want) {
					t.Fatalf("%d messages differ from the %d of the oracle", len(got), len(want))
				}
			})
		}
	}
}

// isCodedFrame reports whether an FLV tag body is an H.264 or AAC frame rather
// than a header or an end of sequence.
func isCodedFrame(m *Media) bool {
	return len(m.Payload) > 5 && m.Payload[1] == 1
}

func TestCapturesArePublishedToTheirEnd(t *testing.T) {
	for _, c := range captures {
		for _, size := range []int{1, 53, 1460, 1 << 20} {
			if size == 1 && c.video > 0 {
				continue // the audio does: a pipe is slow by the byte
			}
			t.Run(fmt.Sprintf("%s/%d", c.file, size), func(t *testing.T) {
				t.Parallel()
				replayCapture(t, c, size)
			})
		}
	}
}

func replayCapture(t *testing.T, c capture, size int) {
	client, server := tcpPair(t)
	defer shut(client)
	sent := c.read(t)
	var replies bytes.Buffer
	replied := make(chan struct{})
	go func() {
		defer close(replied)
		_, _ = io.Copy(&replies, client) // ends with the pipe
	}()
	go func() {
		_, _ = io.Copy(client, onlyReader{inPieces(sent, size)}) // the server may close first
		_ = client.(*net.TCPConn).CloseWrite()
	}()
	conn := NewServerConn(server, ServerConfig{})
	defer shut(conn)
	if err := conn.Handshake(context.Background()); err != nil {
		t.Fatal(err)
	}
	var times [10][]uint32
	var counts [10]int
	var metadata, published, unpublished int
	for {
		ev, err := conn.Next()
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		switch ev := ev.(type) {
		case *PublishRequest:
			published++
			if ev.App != c.app || ev.Name != c.name || ev.Query != c.query || ev.Connect.FlashVer != c.encoder {
				t.Fatalf("published as %q %q %q by %q", ev.App, ev.Name, ev.Query, ev.Connect.FlashVer)
			}
			conn.Authorised()
			if err := conn.AcceptPublish(ev); err != nil {
				t.Fatal(err)
			}
		case *Media:
			if ev.Type == TypeData {
				metadata++
				if name, v, err := DecodeData(ev.Payload); name != "onMetaData" || v == nil || err != nil {
					t.Fatalf("data %q %v: %v", name, v, err)
				}
				continue
			}
			counts[ev.Type]++
			if isCodedFrame(ev) {
				times[ev.Type] = append(times[ev.Type], ev.Timestamp)
			}
		case *Unpublish:
			unpublished++
			if ev.Cause != nil {
				t.Errorf("unpublished because of %v, want the command", ev.Cause)
			}
		}
	}
	if published != 1 || unpublished != 1 || metadata == 0 {
		t.Errorf("published %d times, unpublished %d times, %d times metadata", published, unpublished, metadata)
	}
	if counts[TypeVideo] != c.video || counts[TypeAudio] != c.audio {
		t.Errorf("%d video and %d audio messages, want %d and %d", counts[TypeVideo], counts[TypeAudio], c.video, c.audio)
	}
	for kind, want := range map[int][2]uint32{TypeVideo: c.videoTimes, TypeAudio: c.audioTimes} {
		got := times[kind]
		if len(got) > 0 && (got[0] != want[0] || got[len(got)-1] != want[1]) {
			t.Errorf("type %d: times %d to %d, want %d to %d", kind, got[0], got[len(got)-1], want[0], want[1])
		}
	}
	shut(conn)
	<-replied
	checkReplies(t, c, replies.Bytes())
	if s := conn.Stats(); s.Skipped[SkipNoPublication]+s.Skipped[SkipUnknownType]+s.Skipped[SkipMalformedCommand] > 0 {
		t.Errorf("skipped %v", s.Skipped)
	}
}

// onlyReader hides a reader's other methods, so that io.Copy keeps the pieces.
type onlyReader struct{ io.Reader }
