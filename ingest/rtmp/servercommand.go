package rtmp

import (
	"errors"
)

// handle deals with a message. It returns what the session has to know of it.
func (c *ServerConn) handle(m message) (Event, error) {
	switch m.kind {
	case TypeAudio, TypeVideo:
		return c.handleMedia(m, m.payload), nil
	case TypeData, typeDataAMF3:
		body, ok := dataBody(m.kind, m.payload)
		if !ok {
			c.stats.skip(SkipMalformedData)
			return nil, nil
		}
		m.kind = TypeData
		return c.handleMedia(m, body), nil
	case typeCommandAMF0, typeCommandAMF3:
		cmd, ok := parseCommand(m)
		if !ok {
			c.stats.skip(SkipMalformedCommand)
			return nil, nil
		}
		return c.handleCommand(&cmd)
	}
	c.control(m)
	return nil, nil
}

// handleMedia returns the event for a media message. With one publication, all media is its: some encoders send it on
// message stream 0. But what still comes on a stream on which one has ended is of that one.
func (c *ServerConn) handleMedia(m message, payload []byte) Event {
	var of *netStream
	late := false
	for _, s := range c.streams {
		if s.state == streamPublishing && (of == nil || s.id == m.streamID) {
			of = s
		}
		late = late || s.over && s.id == m.streamID
	}
	if of == nil || (of.id != m.streamID && (late || len(c.watch.publications) > 1)) {
		c.stats.skip(SkipNoPublication)
		return nil
	}
	if m.kind != TypeData {
		of.media.count++
	}
	c.media = Media{Type: m.kind, StreamID: of.id, Timestamp: m.timestamp, Payload: payload}
	return &c.media
}

// handleCommand answers a command, or returns it as a request.
func (c *ServerConn) handleCommand(cmd *command) (Event, error) {
	if c.connect == nil && cmd.name != "connect" {
		if cmd.name == "publish" || cmd.name == "play" || cmd.name == "createStream" {
			return nil, fault(ReasonCommandOrder, "read command", cmd.name+" before connect")
		}
	}
	switch cmd.name {
	case "connect":
		return nil, c.handleConnect(cmd)
	case "createStream":
		c.createStream(cmd)
	case "publish":
		return c.askPublish(cmd), nil
	case "play":
		return c.askPlay(cmd), nil
	case "FCPublish":
		c.fcPublish = true
		c.result(cmd, Undefined{})
	case "releaseStream", "_checkbw":
		c.result(cmd, Undefined{})
	case "getStreamLength":
		c.result(cmd, 0.0) // live: not known
	case "FCSubscribe":
		c.result(cmd, Undefined{})
		c.send(c.call(csidCommand, 0, "onFCSubscribe", 0.0, nil, statusInfo(levelStatus, CodePlayStart, "live")))
	case "FCUnpublish":
		c.result(cmd, Undefined{})
		return c.endNamed(cmd.text(0)), nil
	case "deleteStream", "closeStream":
		c.result(cmd, Undefined{})
		return c.deleteStream(cmd), nil
	case "pause", "pauseRaw":
		return c.pause(cmd), nil
	case "seek":
		// A live stream goes on where it is. Told that this is an error, ffmpeg would end.
		c.result(cmd, Undefined{})
		c.send(c.status(cmd.streamID, CodeSeek, "the stream is live and goes on"))
	case "receiveAudio":
		return c.receive(cmd, TypeAudio), nil
	case "receiveVideo":
		return c.receive(cmd, TypeVideo), nil
	case "_result", "_error", "onStatus", "onBWDone":
		// Answers to pings of old clients.
	default:
		c.unknownCommand(cmd)
	}
	return nil, nil
}

func (c *ServerConn) unknownCommand(cmd *command) {
	c.stats.skip(SkipUnknownCommand)
	if cmd.transaction != 0 {
		c.send(c.call(csidCommand, cmd.streamID, "_error", cmd.transaction, nil,
			statusInfo(levelError, CodeCallFailed, "the method is not known")))
	}
}

// handleConnect answers connect, as Adobe's servers do, with the sizes first:
// ffmpeg takes over the chunk size that it has been told by then.
func (c *ServerConn) handleConnect(cmd *command) error {
	if c.connect != nil {
		c.unknownCommand(cmd)
		return nil
	}
	info := parseConnect(cmd.object)
	if c.config.CheckConnect != nil {
		if err := c.config.CheckConnect(info); err != nil {
			c.refuseConnect(cmd, err)
			return errRefused(err)
		}
	}
	c.connect = info

	b := appendControl(nil, typeWindowAckSize, c.config.WindowAckSize)
	b = appendControl(b, typePeerBandwidth, c.config.WindowAckSize, limitDynamic)
	b = appendControl(b, typeSetChunkSize, uint32(c.config.ChunkSize))
	c.outSize = c.config.ChunkSize

	properties := Object{{"fmsVer", "FMS/3,5,7,7009"}, {"capabilities", 31}, {"mode", 1}}
	if !info.Codecs.isZero() {
		properties = append(properties, c.config.Codecs.properties()...)
	}
	success := append(statusInfo(levelStatus, CodeConnectSuccess, "Connection succeeded."), Property{"objectEncoding", 0})
	c.send(append(b, c.call(csidCommand, 0, "_result", cmd.transaction, properties, success)...))
	return nil
}

func (c *ServerConn) refuseConnect(cmd *command, err error) {
	refusal := &Refusal{Code: CodeConnectRejected, Description: "the connection is refused"}
	errors.As(err, &refusal)
	c.send(c.call(csidCommand, 0, "_error", cmd.transaction, nil,
		statusInfo(levelError, refusal.Code, refusal.Description)))
	c.lingers.Store(true)
	_ = c.flush() // the connection is over anyway
}

// result answers a command if an answer is asked for.
func (c *ServerConn) result(cmd *command, value any) {
	if cmd.transaction != 0 {
		c.send(c.call(csidCommand, cmd.streamID, "_result", cmd.transaction, nil, value))
	}
}

// call returns a command message. Only the reading goroutine may call it before
// connect is answered; from then on the chunk size stays.
func (c *ServerConn) call(csid, streamID uint32, values ...any) []byte {
	return appendCommand(nil, csid, streamID, c.outSize, values...)
}
