package rtmp

import (
	"context"
	"fmt"
	"io"
)

// Play starts to play: ReadMedia is to follow.
func (c *Client) Play(ctx context.Context) error {
	err := c.within(ctx, func() error {
		if err := c.createStream(); err != nil {
			return err
		}
		c.transaction++
		c.command(c.streamID, c.transaction, "play", nil, c.target.name, -2.0)
		return c.waitStatus("play", CodePlayStart)
	})
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	return nil
}

// ReadMedia returns the next audio, video or data message of what is played. At
// the end of the stream, and where the server closes in order, the error is
// io.EOF.
func (c *Client) ReadMedia() (*Media, error) {
	for {
		m, err := c.chunks.next()
		if err != nil {
			return nil, err
		}
		switch m.kind {
		case TypeAudio, TypeVideo:
			c.media = Media{Type: m.kind, StreamID: m.streamID, Timestamp: m.timestamp, Payload: m.payload}
			return &c.media, nil
		case TypeData, typeDataAMF3:
			if body, ok := dataBody(m.kind, m.payload); ok {
				c.media = Media{Type: TypeData, StreamID: m.streamID, Timestamp: m.timestamp, Payload: body}
				return &c.media, nil
			}
			c.stats.skip(SkipMalformedData)
		case typeCommandAMF0, typeCommandAMF3:
			if err := c.playStatus(m); err != nil {
				return nil, err
			}
		default:
			c.control(m)
		}
	}
}

// playStatus returns io.EOF when the server says that what is played is over.
func (c *Client) playStatus(m message) error {
	cmd, ok := parseCommand(m)
	if !ok || cmd.name != "onStatus" {
		return nil
	}
	info, _ := AsObject(cmd.arg(0))
	switch {
	case info.String("level") == levelError:
		return refusedByPeer("play", &cmd)
	case info.String("code") == CodePlayStop, info.String("code") == CodePlayUnpublishNotify:
		return io.EOF
	}
	return nil
}
