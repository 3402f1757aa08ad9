package rtmp

import (
	"slices"
	"strings"
	"time"
)

// createStream gives out the lowest id that is free. Who serves many viewers keeps bytes for each id that is played,
// so all connections get the same few.
func (c *ServerConn) createStream(cmd *command) {
	if len(c.streams) >= c.config.MaxStreams {
		c.send(c.call(csidCommand, 0, "_error", cmd.transaction, nil,
			statusInfo(levelError, CodeCallFailed, "too many streams")))
		return
	}
	id := uint32(FirstStreamID)
	for c.has(id) {
		id++
	}
	c.streams = append(c.streams, &netStream{id: id})
	c.send(c.call(csidCommand, 0, "_result", cmd.transaction, nil, float64(id)))
}

func (c *ServerConn) has(id uint32) bool {
	return slices.ContainsFunc(c.streams, func(s *netStream) bool { return s.id == id })
}

// stream returns the message stream that a command is for. Some clients do not
// create the stream they use; it is made for them.
func (c *ServerConn) stream(id uint32) *netStream {
	for _, s := range c.streams {
		if s.id == id {
			return s
		}
	}
	if len(c.streams) >= c.config.MaxStreams {
		return nil
	}
	s := &netStream{id: id}
	c.streams = append(c.streams, s)
	return s
}

// askPublish returns the request of a publish command.
func (c *ServerConn) askPublish(cmd *command) Event {
	s := c.free(cmd, CodePublishBadName)
	if s == nil {
		return nil
	}
	a := resolve(c.connect.rawApp, c.connect.rawTcURL, cmd.text(0))
	s.state, s.name = streamPublishAsked, a.name
	c.endPhase()
	return &PublishRequest{
		App: a.app, Name: a.name, Query: a.query, Type: cmd.text(1),
		Connect: c.connect, StreamID: s.id,
	}
}

// askPlay returns the request of a play command. Only a stream that createStream may have given out, or stream 0, can
// be played: see createStream. A play on a stream that plays first ends that.
func (c *ServerConn) askPlay(cmd *command) Event {
	if cmd.streamID > uint32(c.config.MaxStreams) {
		c.send(c.status(cmd.streamID, CodePlayFailed, "the message stream was not created"))
		return nil
	}
	var over Event
	if c.playing(cmd) {
		over = c.end(c.stream(cmd.streamID), nil) // a NetStream plays one after the other
	}
	s := c.free(cmd, CodePlayFailed)
	if s == nil {
		return nil
	}
	a := resolve(c.connect.rawApp, c.connect.rawTcURL, cmd.text(0))
	s.state, s.name = streamPlayAsked, a.name
	c.endPhase()
	request := &PlayRequest{
		App: a.app, Name: a.name, Query: a.query, Start: cmd.number(1, -2),
		Connect: c.connect, StreamID: s.id,
	}
	if over == nil {
		return request
	}
	c.due = append(c.due, request)
	return over
}

// free returns the message stream of a publish or play, unless it is in use.
func (c *ServerConn) free(cmd *command, code string) *netStream {
	s := c.stream(cmd.streamID)
	switch {
	case s == nil:
		c.send(c.status(cmd.streamID, code, "too many streams"))
		return nil
	case s.state == streamPublishing || s.state == streamPlaying:
		c.send(c.status(cmd.streamID, code, "the message stream is in use"))
		return nil
	}
	return s
}

// endPhase ends the time in which publish or play has to come.
func (c *ServerConn) endPhase() { c.watch.until = time.Time{} }

// endNamed ends the publication of a name, or the only one.
func (c *ServerConn) endNamed(name string) Event {
	name, _, _ = strings.Cut(name, "?")
	name = strings.Trim(name, "/")
	var of *netStream
	for _, s := range c.streams {
		if s.state == streamPublishing && (s.name == name || len(c.watch.publications) == 1) {
			of = s
		}
	}
	if of == nil {
		return nil
	}
	c.send(c.call(csidCommand, 0, "onFCUnpublish", 0.0, nil, statusInfo(levelStatus, CodeUnpublish, "unpublished")))
	return c.end(of, nil)
}

// deleteStream ends a stream. closeStream has no argument and GStreamer's
// deleteStream the stream's name: then it is the message's stream, or the only one.
func (c *ServerConn) deleteStream(cmd *command) Event {
	id := uint32(cmd.number(0, float64(cmd.streamID)))
	i := slices.IndexFunc(c.streams, func(s *netStream) bool { return s.id == id })
	if i < 0 && len(c.streams) == 1 {
		i = 0
	}
	if i < 0 {
		return nil
	}
	s := c.streams[i]
	if cmd.name == "deleteStream" {
		c.streams = slices.Delete(c.streams, i, i+1)
	}
	return c.end(s, nil)
}

// end returns the event for the end of what was accepted on a stream, if
// anything was.
func (c *ServerConn) end(s *netStream, cause error) Event {
	was := s.state
	s.state = streamIdle
	switch was {
	case streamPublishing:
		s.over = true
		c.watch.expectNoMore(&s.media)
		if cause == nil {
			c.send(c.status(s.id, CodeUnpublish, "unpublished"))
		}
		return &Unpublish{StreamID: s.id, Cause: cause}
	case streamPlaying:
		return &Stop{StreamID: s.id, Cause: cause}
	}
	return nil
}

// endSilent ends a publication that sends no media, on a connection on which another goes on.
func (c *ServerConn) endSilent(w *mediaWatch) {
	for _, s := range c.streams {
		if &s.media == w {
			c.due = append(c.due, c.end(s, errNoMedia))
			c.send(c.status(s.id, CodeUnpublish, "the publication has sent no media"))
		}
	}
}

// playing reports whether a command is for a stream that is being played.
func (c *ServerConn) playing(cmd *command) bool {
	return slices.ContainsFunc(c.streams, func(s *netStream) bool {
		return s.id == cmd.streamID && s.state == streamPlaying
	})
}

// pause returns the event of a pause command (section 7.2.2.9), of which only the first
// argument means something where the stream is live.
func (c *ServerConn) pause(cmd *command) Event {
	c.result(cmd, Undefined{})
	paused, ok := cmd.arg(0).(bool)
	if !ok || !c.playing(cmd) {
		return nil
	}
	if paused {
		c.send(c.status(cmd.streamID, CodePause, "paused"))
	} else {
		c.send(c.status(cmd.streamID, CodeUnpause, "goes on at the next keyframe"))
	}
	return &Pause{StreamID: cmd.streamID, Paused: paused}
}

// receive returns the event of receiveAudio and receiveVideo. Only to a true are there
// answers, and they are these two.
func (c *ServerConn) receive(cmd *command, kind uint8) Event {
	c.result(cmd, Undefined{})
	wanted, ok := cmd.arg(0).(bool)
	if !ok || !c.playing(cmd) {
		return nil
	}
	if wanted {
		c.send(append(c.status(cmd.streamID, CodeSeek, "live"), c.status(cmd.streamID, CodePlayStart, "playing")...))
	}
	return &Receive{StreamID: cmd.streamID, Type: kind, Wanted: wanted}
}
