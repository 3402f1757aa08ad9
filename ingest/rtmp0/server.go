package rtmp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// ServerConfig configures a ServerConn. Zero values mean the defaults.
type ServerConfig struct {
	// HandshakeTimeout bounds the handshake (5 s), RequestTimeout the time from there to
	// publish or play (10 s).
	HandshakeTimeout, RequestTimeout time.Duration
	// MaxMessage bounds a media message in bytes once the peer is authorised (8 MiB).
	MaxMessage int
	// VideoCodecs and AudioCodecs are the FourCCs that the answer to connect lists for
	// Enhanced RTMP.
	VideoCodecs, AudioCodecs []string
}

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events.
const (
	// Publish: the peer wants to publish. Answer with AcceptPublish or Reject.
	Publish EventKind = iota + 1
	// Play: the peer wants to play. Answer with AcceptPlay or Reject.
	Play
	// Media: an audio or video message, or onMetaData, of an accepted publication.
	Media
	// Unpublish: the peer ended its publication. Another may follow.
	Unpublish
	// Stop: the peer ended playing.
	Stop
)

// Event is what a session has to decide on or deal with.
type Event struct {
	Kind EventKind
	// Request is set for Publish and Play.
	Request *Request
	// Message is set for Media. A message of TypeData holds onMetaData without
	// @setDataFrame.
	Message Message
}

// Request is a wish to publish or play.
type Request struct {
	// App and Name are without query and without slashes at either end; they are not
	// checked otherwise.
	App, Name string
	// Query is the raw query from app, tcUrl and name. It is secret.
	Query string
	// Encoder is what connect's flashVer says.
	Encoder string
	// StreamID is the message stream of the request.
	StreamID uint32
}

// Limits of what a peer may do before it does what it came for.
const (
	// maxMessageStreams bounds createStream; encoders use one or two.
	maxMessageStreams = 16
	// maxIdleCommands bounds the commands that ask for nothing: encoders send eight.
	maxIdleCommands = 256
)

// ServerConn is the server's side of a connection. Its methods belong to one goroutine,
// but Close and Stats may be called by any.
type ServerConn struct {
	*transport
	config  ServerConfig
	app     string
	query   string
	encoder string
	streams int // message streams created
	// publishing is the message stream of the accepted publication, 0 if there is none,
	// and playing of the accepted playback.
	publishing, playing uint32
	pending             *Request // waits for the caller's decision
	idle                int      // commands since something happened
	queue               []Message
}

// NewServerConn wraps an accepted connection.
func NewServerConn(nc net.Conn, config ServerConfig) *ServerConn {
	if config.HandshakeTimeout <= 0 {
		config.HandshakeTimeout = 5 * time.Second
	}
	if config.RequestTimeout <= 0 {
		config.RequestTimeout = 10 * time.Second
	}
	if config.MaxMessage <= 0 {
		config.MaxMessage = defaultMaxMessage
	}
	return &ServerConn{transport: newTransport(nc), config: config}
}

// Handshake reads and answers the handshake. The time from its end to publish or play is
// bounded too.
func (c *ServerConn) Handshake() error {
	end := time.Now().Add(c.config.HandshakeTimeout)
	if err := c.nc.SetDeadline(end); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := serverHandshake(c.nc); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = ErrHandshakeTime
		}
		return fmt.Errorf("handshake: %w", err)
	}
	c.heard = time.Now()
	c.phase(c.heard.Add(c.config.RequestTimeout), ErrRequestTime)
	return nil
}

// Authorised lifts the limits that hold for strangers.
func (c *ServerConn) authorised() {
	c.chunks.maxMessage = min(c.config.MaxMessage, maxMessage)
	c.chunks.maxHeld = max(maxPartialBytes, 2*c.config.MaxMessage)
	c.phase(time.Time{}, nil)
}

// Next returns the next event. Errors wrap an *Error where the peer is at fault, io.EOF where
// it closed the connection between messages.
func (c *ServerConn) Next() (Event, error) {
	for {
		m, err := c.message()
		if err != nil {
			return Event{}, err
		}
		switch m.Type {
		case TypeCommand, TypeCommandAMF3:
			e, err := c.command(m)
			if err != nil || e.Kind != 0 {
				return e, err
			}
		case TypeAudio, TypeVideo:
			if c.publishing != 0 {
				return Event{Kind: Media, Message: m}, nil
			}
			c.ignored.Add(1)
		case TypeData, TypeDataAMF3:
			if name, body := ScriptData(m); name == "onMetaData" && c.publishing != 0 {
				m.Type, m.Payload = TypeData, body
				return Event{Kind: Media, Message: m}, nil
			}
			c.ignored.Add(1)
		case TypeAggregate:
			if c.publishing != 0 {
				c.queue = splitAggregate(c.queue, m)
			}
		default:
			c.ignored.Add(1)
		}
	}
}

// message returns the next message: of an aggregate, or from the wire.
func (c *ServerConn) message() (Message, error) {
	if len(c.queue) > 0 {
		m := c.queue[0]
		c.queue = c.queue[1:]
		return m, nil
	}
	c.queue = nil
	return c.next()
}

// command deals with one command, or makes an event of it.
func (c *ServerConn) command(m Message) (Event, error) {
	cmd, err := parseCommand(m)
	if err != nil {
		return Event{}, err
	}
	if c.idle++; c.idle > maxIdleCommands && c.publishing == 0 && c.playing == 0 {
		return Event{}, ErrTooManyCommands
	}
	switch cmd.name {
	case "connect":
		return Event{}, c.connect(cmd)
	case "createStream":
		return Event{}, c.createStream(cmd)
	case "publish":
		return c.request(Publish, cmd)
	case "play":
		return c.request(Play, cmd)
	case "deleteStream", "closeStream", "FCUnpublish":
		return c.endOf(cmd)
	case "releaseStream", "getStreamLength", "_checkbw":
		return Event{}, c.result(cmd, nil, Undefined{})
	case "FCPublish":
		return Event{}, c.fcPublish(cmd)
	case "FCSubscribe", "pause", "seek", "receiveAudio", "receiveVideo", "_result", "_error", "onStatus":
		return Event{}, c.harmless(cmd)
	}
	c.ignored.Add(1)
	if cmd.transaction == 0 {
		return Event{}, nil
	}
	return Event{}, c.write(appendCommand(nil, 0, "_error", cmd.transaction, nil,
		status("error", "NetConnection.Call.Failed", "unknown command")))
}

// harmless answers commands that change nothing here.
func (c *ServerConn) harmless(cmd command) error {
	if cmd.transaction == 0 || strings.HasPrefix(cmd.name, "_") || cmd.name == "onStatus" {
		return nil
	}
	return c.result(cmd, nil, Undefined{})
}

// result answers a command that wants an answer.
func (c *ServerConn) result(cmd command, values ...Value) error {
	if cmd.transaction == 0 {
		return nil
	}
	return c.write(appendCommand(nil, 0, append([]Value{"_result", cmd.transaction}, values...)...))
}

func (c *ServerConn) fcPublish(cmd command) error {
	if err := c.result(cmd, nil, Undefined{}); err != nil {
		return err
	}
	name, _ := splitQuery(cmd.text(0))
	return c.write(appendCommand(nil, 0, "onFCPublish", 0, nil,
		status("status", "NetStream.Publish.Start", printable(name))))
}

// connect notes the application and answers with what this server can do.
func (c *ServerConn) connect(cmd command) error {
	app, query := splitQuery(cmd.object.String("app"))
	_, tcQuery := splitQuery(cmd.object.String("tcUrl"))
	c.app, c.query = app, joinQueries(query, tcQuery)
	c.encoder = printable(cmd.object.String("flashVer"))

	var b []byte
	b = appendControl32(b, TypeWindowAckSize, ackWindow)
	b = appendControl32(b, TypePeerBandwidth, ackWindow, 2)
	b = appendControl32(b, TypeSetChunkSize, sendChunkSize)
	properties := Object{
		{"fmsVer", "FMS/3,5,7,7009"},
		{"capabilities", 31.0},
		{"mode", 1.0},
	}
	info := append(status("status", "NetConnection.Connect.Success", "connected"),
		Property{"objectEncoding", 0.0})
	if len(c.config.VideoCodecs)+len(c.config.AudioCodecs) > 0 {
		properties = append(properties, c.capabilities(cmd.object)...)
	}
	return c.write(appendCommand(b, 0, "_result", cmd.transaction, properties, info))
}

// canForward is the FourCcInfoMask bit for codecs that are relayed (Enhanced RTMP v2,
// "Defining Additional Properties").
const canForward = 4.0

// capabilities answers Enhanced RTMP's offer with the codecs that both sides know.
func (c *ServerConn) capabilities(offer Object) Object {
	if offer.Get("fourCcList") == nil && offer.Get("videoFourCcInfoMap") == nil && offer.Get("audioFourCcInfoMap") == nil {
		return nil
	}
	var list []Value
	masks := func(codecs []string) Object {
		var o Object
		for _, fourCC := range codecs {
			o = append(o, Property{fourCC, canForward})
			list = append(list, fourCC)
		}
		return o
	}
	video, audio := masks(c.config.VideoCodecs), masks(c.config.AudioCodecs)
	return Object{
		{"fourCcList", list},
		{"videoFourCcInfoMap", video},
		{"audioFourCcInfoMap", audio},
		{"capsEx", 0.0},
	}
}

func (c *ServerConn) createStream(cmd command) error {
	if c.streams++; c.streams > maxMessageStreams {
		return ErrTooManyStreams
	}
	return c.result(cmd, nil, float64(c.streams))
}

// request makes the event of publish or play.
func (c *ServerConn) request(kind EventKind, cmd command) (Event, error) {
	name, query := splitQuery(cmd.text(0))
	app := c.app
	// Some encoders have "app/name" where the name belongs, and "app/instance" in app.
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		app, name = strings.Trim(app+"/"+name[:i], "/"), name[i+1:]
	}
	app = strings.TrimSuffix(app, "/_definst_")
	c.pending = &Request{
		App:      app,
		Name:     name,
		Query:    joinQueries(c.query, query),
		Encoder:  c.encoder,
		StreamID: max(cmd.streamID, 1),
	}
	return Event{Kind: kind, Request: c.pending}, nil
}

// endOf makes the event of a command that ends a message stream, if it ends one that is in
// use. GStreamer's deleteStream has a string where the number belongs.
func (c *ServerConn) endOf(cmd command) (Event, error) {
	if err := c.result(cmd, nil, Undefined{}); err != nil {
		return Event{}, err
	}
	id, given := cmd.number(0)
	if cmd.name != "deleteStream" {
		given = false
	}
	switch {
	case c.publishing != 0 && (!given || uint32(id) == c.publishing):
		id := c.publishing
		c.publishing, c.idle = 0, 0
		c.phase(time.Now().Add(c.config.RequestTimeout), ErrRequestTime)
		var b []byte
		if cmd.name == "FCUnpublish" {
			b = appendCommand(b, 0, "onFCUnpublish", 0, nil, status("status", "NetStream.Unpublish.Success", ""))
		}
		b = appendCommand(b, id, "onStatus", 0, nil, status("status", "NetStream.Unpublish.Success", "unpublished"))
		// A client that is about to leave may not read this: that is no error.
		_ = c.write(b)
		return Event{Kind: Unpublish}, nil
	case c.playing != 0 && cmd.name != "FCUnpublish" && (!given || uint32(id) == c.playing):
		c.playing = 0
		return Event{Kind: Stop}, nil
	}
	return Event{}, nil
}

// AcceptPublish lets the peer publish. From now on its media come as events.
func (c *ServerConn) AcceptPublish() error {
	r := c.pending
	c.pending, c.publishing, c.idle = nil, r.StreamID, 0
	c.authorised()
	return c.write(appendCommand(nil, r.StreamID, "onStatus", 0, nil,
		append(status("status", "NetStream.Publish.Start", "publishing"), Property{"clientid", "headwater"})))
}

// AcceptPlay lets the peer play. The caller then writes media with WriteRaw.
func (c *ServerConn) AcceptPlay() error {
	r := c.pending
	c.pending, c.playing, c.idle = nil, r.StreamID, 0
	c.phase(time.Time{}, nil)
	var b []byte
	b = appendUserControl(b, eventStreamBegin, r.StreamID)
	for _, s := range [...]Object{
		status("status", "NetStream.Play.Reset", "reset"),
		status("status", "NetStream.Play.Start", "playing"),
	} {
		b = appendCommand(b, r.StreamID, "onStatus", 0, nil, s)
	}
	b = AppendMessage(b, csidData, Message{Type: TypeData, StreamID: r.StreamID,
		Payload: AppendAMF0(nil, "|RtmpSampleAccess", true, true)}, sendChunkSize)
	return c.write(b)
}

// Reject refuses the request with a status code such as "NetStream.Publish.Denied" and a
// description for the person at the encoder. The answer has left when it returns.
func (c *ServerConn) Reject(code, description string) error {
	r := c.pending
	c.pending = nil
	return c.write(appendCommand(nil, r.StreamID, "onStatus", 0, nil, status("error", code, description)))
}

// Close closes the connection. Next returns an error then.
func (c *ServerConn) Close() error { return c.nc.Close() }

// Received returns the number of bytes read. It belongs to the reading goroutine.
func (c *ServerConn) Received() uint64 { return c.chunks.stats.Bytes }

// Ignored returns the number of messages that were passed over.
func (c *ServerConn) Ignored() uint64 { return c.ignored.Load() }

func status(level, code, description string) Object {
	return Object{{"level", level}, {"code", code}, {"description", description}}
}

// maxAggregate bounds the messages in an aggregate.
const maxAggregate = 4096

// splitAggregate appends the messages in an aggregate (section 7.1.6): FLV tags, whose
// timestamps are moved so that the first one has the aggregate's. One that lies about its
// length ends it.
//
//	| type 8 | size 24 | timestamp 24 low | ts 8 high | stream id 24 | data | back pointer 32 |
func splitAggregate(queue []Message, m Message) []Message {
	b := m.Payload
	var shift uint32
	for n := 0; len(b) >= 11 && n < maxAggregate; n++ {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		ts := uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]) | uint32(b[7])<<24
		if n == 0 {
			shift = m.Timestamp - ts
		}
		if size > len(b)-11 {
			break
		}
		if t := Type(b[0]); t != TypeAggregate {
			queue = append(queue, Message{Type: t, ChunkStreamID: m.ChunkStreamID, StreamID: m.StreamID,
				Timestamp: ts + shift, Payload: b[11 : 11+size : 11+size]})
		}
		b = b[min(len(b), 11+size+4):]
	}
	return slices.Clip(queue)
}
