package e2e

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	gortmplibmsg "github.com/bluenviron/gortmplib/pkg/message"
	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/handshake"
	gortmpmsg "github.com/yutopp/go-rtmp/message"
)

// player returns what it is sent, message by message: the type and an FLV tag body.
type player func() (kind int, body []byte, err error)

// TestOtherRTMPLibrariesPlay lets two client libraries play, whose chunk and message readers are
// not ours.
func TestOtherRTMPLibrariesPlay(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	const name = "libraries"
	live := startLive(t, s, name)
	for library, dial := range map[string]func(context.Context, *testing.T, *server, string) (player, error){
		"go-rtmp": playGoRTMP, "gortmplib": playGortmplib,
	} {
		t.Run(library, func(t *testing.T) {
			next, err := dial(limit(t, 20*time.Second), t, s, name)
			if err != nil {
				t.Fatal(err)
			}
			configs := map[int]bool{}
			numbers := map[uint8][]int{}
			for len(numbers[tagVideo]) < liveGOP {
				kind, body, err := next()
				if err != nil {
					t.Fatalf("after %d pictures: %v", len(numbers[tagVideo]), err)
				}
				if tag := (flvTag{kind: kind, body: body}); tag.config() {
					configs[kind] = true
				}
				id, ok := liveFrame(kind, body)
				if !ok {
					continue
				}
				if want := livePayload(id); string(want) != string(body) {
					t.Errorf("frame %v has other bytes than were sent", id)
				}
				numbers[id.kind] = append(numbers[id.kind], id.number)
			}
			if !configs[tagVideo] || !configs[tagAudio] {
				t.Errorf("configurations came for %v only", configs)
			}
			if first := numbers[tagVideo][0]; first%liveGOP != 0 {
				t.Errorf("it begins with picture %d, which is no keyframe", first)
			}
			report(t, library, append(inARow("picture", numbers[tagVideo]), inARow("sound", numbers[tagAudio])...))
		})
	}
	live.finish(t)
}

// playGoRTMP plays with go-rtmp's handshake and chunk streams; its client cannot play.
func playGoRTMP(ctx context.Context, t *testing.T, s *server, name string) (player, error) {
	c, err := s.dialRTMP(ctx)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	context.AfterFunc(ctx, func() { _ = c.Close() })
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if err := handshake.HandshakeWithServer(c, c, &handshake.Config{}); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if _, err := c.Write(playing(name)[len(hello):]); err != nil {
		return nil, err
	}
	chunks := gortmp.NewChunkStreamer(c, c, nil)
	t.Cleanup(func() { _ = chunks.Close() })
	return func() (int, []byte, error) {
		var m gortmp.ChunkMessage
		if _, _, err := chunks.Read(&m); err != nil {
			return 0, nil, err
		}
		switch m := m.Message.(type) {
		case *gortmpmsg.SetChunkSize:
			return 0, nil, chunks.PeerState().SetChunkSize(m.ChunkSize)
		case *gortmpmsg.AudioMessage:
			body, err := io.ReadAll(m.Payload)
			return tagAudio, body, err
		case *gortmpmsg.VideoMessage:
			body, err := io.ReadAll(m.Payload)
			return tagVideo, body, err
		}
		return 0, nil, nil
	}, nil
}

// playGortmplib plays with gortmplib's client, which takes messages apart; here they are put
// together again.
func playGortmplib(ctx context.Context, t *testing.T, s *server, name string) (player, error) {
	address, err := url.Parse(s.publishURL(name))
	if err != nil {
		return nil, err
	}
	client := &gortmplib.Client{URL: address}
	if err := client.Initialize(ctx); err != nil {
		return nil, err
	}
	t.Cleanup(client.Close)
	if deadline, ok := ctx.Deadline(); ok {
		if err := client.NetConn().SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	return func() (int, []byte, error) {
		m, err := client.Read()
		switch m := m.(type) {
		case *gortmplibmsg.Audio:
			head := m.Codec<<4 | m.Rate<<2 | m.Depth<<1
			if m.IsStereo {
				head |= 1
			}
			return tagAudio, append([]byte{head, byte(m.AACType)}, m.Payload...), err
		case *gortmplibmsg.Video:
			frameType := byte(2)
			if m.IsKeyFrame {
				frameType = 1
			}
			ms := uint32(m.PTSDelta / time.Millisecond)
			return tagVideo, append([]byte{frameType<<4 | m.Codec, byte(m.Type), byte(ms >> 16), byte(ms >> 8), byte(ms)}, m.Payload...), err
		}
		return 0, nil, err
	}, nil
}
