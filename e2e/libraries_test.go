package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	gortmplibmsg "github.com/bluenviron/gortmplib/pkg/message"
	gortmp "github.com/yutopp/go-rtmp"
	gortmpmsg "github.com/yutopp/go-rtmp/message"
)

// publisher is an RTMP client library that publishes FLV tags.
type publisher interface {
	send(tag flvTag) error
	close() error
}

// TestOtherRTMPLibrariesPublish lets two client libraries publish, whose
// handshakes, chunk sizes and command orders differ from ffmpeg's.
func TestOtherRTMPLibrariesPublish(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	for name, dial := range map[string]func(context.Context, origin, string) (publisher, error){
		"go-rtmp": dialGoRTMP, "gortmplib": dialGortmplib,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fixtureNamed(t, "high-bframes")
			src := f.make(t)
			ctx := limit(t, time.Duration(f.seconds)*time.Second+pushLimit)
			rec := watch(ctx, s.origin, name)
			p, err := dial(ctx, s.origin, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := publishTags(ctx, src.path, p.send); err != nil {
				t.Error(err)
			}
			if err := p.close(); err != nil {
				t.Errorf("close: %v", err)
			}
			rec.wait(t)
			checkRecordings(t, rec, f, src.media)
		})
	}
}

// publishTags sends the audio and video tags of an FLV file, each when its time has come.
func publishTags(ctx context.Context, path string, send func(flvTag) error) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tags, _, err := parseFLV(file)
	if err != nil {
		return err
	}
	start := time.Now()
	for _, tag := range tags {
		if tag.kind == tagScript {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Until(start.Add(milli(tag.time)))):
		}
		if err := send(tag); err != nil {
			return fmt.Errorf("publish the tag of %v: %w", milli(tag.time), err)
		}
	}
	return nil
}

// goRTMP publishes with github.com/yutopp/go-rtmp.
type goRTMP struct {
	conn   *gortmp.ClientConn
	stream *gortmp.Stream
}

func dialGoRTMP(_ context.Context, o origin, name string) (publisher, error) {
	conn, err := gortmp.Dial("rtmp", strings.TrimPrefix(o.rtmp, "rtmp://"), nil)
	if err != nil {
		return nil, err
	}
	p := &goRTMP{conn: conn}
	if err := p.publish(o, name); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *goRTMP) publish(o origin, name string) error {
	err := p.conn.Connect(&gortmpmsg.NetConnectionConnect{Command: gortmpmsg.NetConnectionConnectCommand{
		App: app, Type: "nonprivate", FlashVer: "FMLE/3.0", TCURL: o.rtmp + "/" + app,
	}})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	const chunkSize = 4096
	if p.stream, err = p.conn.CreateStream(nil, chunkSize); err != nil {
		return fmt.Errorf("createStream: %w", err)
	}
	return p.stream.Publish(&gortmpmsg.NetStreamPublish{PublishingName: name, PublishingType: "live"})
}

func (p *goRTMP) send(tag flvTag) error {
	body := bytes.NewReader(tag.body)
	if tag.kind == tagAudio {
		return p.stream.Write(4, tag.time, &gortmpmsg.AudioMessage{Payload: body})
	}
	return p.stream.Write(6, tag.time, &gortmpmsg.VideoMessage{Payload: body})
}

// close does not delete the stream: go-rtmp races with itself there when a reply comes in.
func (p *goRTMP) close() error { return p.conn.Close() }

// gortmplibPublisher publishes with github.com/bluenviron/gortmplib.
type gortmplibPublisher struct {
	client *gortmplib.Client
	read   chan struct{} // closed when the reader of replies has ended
}

func dialGortmplib(ctx context.Context, o origin, name string) (publisher, error) {
	address, err := url.Parse(o.publishURL(name))
	if err != nil {
		return nil, err
	}
	p := &gortmplibPublisher{client: &gortmplib.Client{URL: address, Publish: true}, read: make(chan struct{})}
	if err := p.client.Initialize(ctx); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.read)
		for {
			if _, err := p.client.Read(); err != nil {
				return
			}
		}
	}()
	return p, nil
}

func (p *gortmplibPublisher) send(tag flvTag) error {
	const stream = 0x1000000 // message stream 1 as the library writes it
	if tag.kind == tagAudio {
		return p.client.Write(&gortmplibmsg.Audio{
			ChunkStreamID: gortmplibmsg.AudioChunkStreamID, MessageStreamID: stream, DTS: milli(tag.time),
			Codec: tag.body[0] >> 4, Rate: tag.body[0] >> 2 & 3, Depth: tag.body[0] >> 1 & 1, IsStereo: tag.body[0]&1 == 1,
			AACType: gortmplibmsg.AudioAACType(tag.body[1]), Payload: tag.body[2:],
		})
	}
	return p.client.Write(&gortmplibmsg.Video{
		ChunkStreamID: gortmplibmsg.VideoChunkStreamID, MessageStreamID: stream, DTS: milli(tag.time),
		Codec: tag.body[0] & 0x0f, IsKeyFrame: tag.body[0]>>4 == 1, Type: gortmplibmsg.VideoType(tag.body[1]),
		PTSDelta: tag.composition(), Payload: tag.body[5:],
	})
}

func (p *gortmplibPublisher) close() error {
	p.client.Close()
	<-p.read
	return nil
}
