package rtmp

import (
	"fmt"
	"time"
)

// AcceptPublish tells the peer that it may publish; its media follows from Next.
func (c *ServerConn) AcceptPublish(r *PublishRequest) error {
	s, err := c.asked(r.StreamID, streamPublishAsked)
	if err != nil {
		return fmt.Errorf("accept publish: %w", err)
	}
	c.chunks.keeps = true // whatever limits hold
	s.state, s.over = streamPublishing, false
	c.watch.expect(&s.media)
	if err := c.begin(time.Time{}, nil); err != nil {
		return fmt.Errorf("accept publish: %w", err)
	}
	if c.fcPublish {
		c.fcPublish = false
		c.send(c.call(csidCommand, 0, "onFCPublish", 0.0, nil, statusInfo(levelStatus, CodePublishStart, "publishing")))
	}
	b := appendEvent(nil, eventStreamBegin, s.id)
	c.send(append(b, c.status(s.id, CodePublishStart, "publishing")...))
	return c.flush()
}

// AcceptPlay tells the peer that it will be sent the stream. The caller then
// writes metadata, decoder configurations and media, addressed to r.StreamID.
func (c *ServerConn) AcceptPlay(r *PlayRequest) error {
	s, err := c.asked(r.StreamID, streamPlayAsked)
	if err != nil {
		return fmt.Errorf("accept play: %w", err)
	}
	s.state = streamPlaying
	if err := c.begin(time.Time{}, nil); err != nil {
		return fmt.Errorf("accept play: %w", err)
	}
	b := appendEvent(nil, eventStreamBegin, s.id)
	b = append(b, c.status(s.id, CodePlayReset, "playing")...)
	b = append(b, c.status(s.id, CodePlayStart, "playing")...)
	// Flash lets scripts look at samples only if told so; ffplay and others
	// expect the message as the sign that data follows.
	access := AppendAMF0(nil, "|RtmpSampleAccess", true, true)
	b = AppendMessage(b, csidStatus, TypeData, s.id, 0, c.outSize, access)
	start := AppendAMF0(nil, "onStatus", Object{{"code", CodeDataStart}})
	c.send(AppendMessage(b, csidStatus, TypeData, s.id, 0, c.outSize, start))
	c.chunks.shrink()
	return c.flushAndForget()
}

// Reject refuses a *PublishRequest or *PlayRequest with one of the Code constants
// and a description that is shown to the user of the encoder or player. It has
// been written when Reject returns. The connection may go on, to ask for another
// stream; usually Close follows, which waits until the refusal was read.
func (c *ServerConn) Reject(request Event, code, description string) error {
	var id uint32
	state := streamPublishAsked
	switch r := request.(type) {
	case *PublishRequest:
		id = r.StreamID
	case *PlayRequest:
		id, state = r.StreamID, streamPlayAsked
	default:
		return fmt.Errorf("reject: %T is no request", request)
	}
	s, err := c.asked(id, state)
	if err != nil {
		return fmt.Errorf("reject: %w", err)
	}
	s.state = streamIdle
	s.over = s.over || state == streamPublishAsked // what was sent in advance is no other's
	return c.SendStatus(id, code, description)
}

func (c *ServerConn) asked(id uint32, state streamState) (*netStream, error) {
	for _, s := range c.streams {
		if s.id == id && s.state == state {
			return s, nil
		}
	}
	return nil, fmt.Errorf("message stream %d has no open request", id)
}

// status returns an onStatus message.
func (c *ServerConn) status(streamID uint32, code, description string) []byte {
	return c.call(csidStatus, streamID, "onStatus", 0.0, nil, statusInfo(level(code), code, description))
}
