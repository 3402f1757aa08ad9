package rtmp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// ClientConfig configures Dial. Zero values mean the defaults.
type ClientConfig struct {
	// Timeout bounds connecting and each command (10 s).
	Timeout time.Duration
	// Encoder is the name we give ourselves.
	Encoder string
	// TLS configures rtmps; nil is the default.
	TLS *tls.Config
}

// Client is the client's side of a connection. Write methods may be called by one goroutine
// while another reads.
type Client struct {
	*transport
	config      ClientConfig
	app, name   string
	query       string
	tcURL       string
	streamID    uint32
	transaction float64
	buf         []byte
}

// Refused is the error of a server that says no.
type Refused struct {
	// Code is the status code, such as "NetStream.Publish.BadName".
	Code string
	// Description is the server's explanation; untrusted text.
	Description string
}

func (r *Refused) Error() string {
	if r.Description == "" {
		return "the server refused: " + r.Code
	}
	return fmt.Sprintf("the server refused: %s (%s)", r.Description, r.Code)
}

// Dial connects to rtmp://HOST[:PORT]/APP/NAME[?QUERY], or rtmps, and connects to the
// application. Errors never contain the query.
func Dial(ctx context.Context, address string, config ClientConfig) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the URL is malformed: want rtmp://HOST[:PORT]/APP/NAME")
	}
	app, name, ok := cutLast(strings.Trim(u.Path, "/"))
	if !ok || u.Host == "" || (u.Scheme != "rtmp" && u.Scheme != "rtmps") {
		return nil, fmt.Errorf("want rtmp://HOST[:PORT]/APP/NAME, not %s://%s%s", u.Scheme, u.Host, u.Path)
	}
	if config.Timeout <= 0 {
		config.Timeout = 10 * time.Second
	}
	nc, err := dial(ctx, u, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", u.Host, err)
	}
	c := &Client{
		transport: newTransport(nc),
		config:    config,
		app:       app,
		name:      name,
		query:     u.RawQuery,
		tcURL:     u.Scheme + "://" + u.Host + "/" + app,
	}
	c.chunks.maxMessage, c.chunks.maxHeld = maxMessage, maxPartialBytes
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if err := c.open(); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func cutLast(path string) (app, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 || i == len(path)-1 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

func dial(ctx context.Context, u *url.URL, config ClientConfig) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtmp": "1935", "rtmps": "443"}[u.Scheme]
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	dialer := &net.Dialer{Timeout: config.Timeout}
	if u.Scheme == "rtmps" {
		return (&tls.Dialer{NetDialer: dialer, Config: config.TLS}).DialContext(ctx, "tcp", addr)
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// open shakes hands and connects to the application.
func (c *Client) open() error {
	if err := c.nc.SetDeadline(time.Now().Add(c.config.Timeout)); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := clientHandshake(c.nc); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	c.phase(time.Now().Add(c.config.Timeout), ErrRequestTime)
	encoder := c.config.Encoder
	if encoder == "" {
		encoder = "headwater"
	}
	b := appendControl32(nil, TypeSetChunkSize, sendChunkSize)
	b = append(b, c.command("connect", Object{
		{"app", c.app}, {"type", "nonprivate"}, {"flashVer", encoder}, {"tcUrl", c.tcURL},
	})...)
	if err := c.write(b); err != nil {
		return err
	}
	_, err := c.await(c.transaction)
	return err
}

// command renders a command with the next transaction number.
func (c *Client) command(name string, values ...Value) []byte {
	c.transaction++
	return appendCommand(nil, c.streamID, append([]Value{name, c.transaction}, values...)...)
}

// await reads until a command is answered.
func (c *Client) await(transaction float64) (command, error) {
	for {
		m, err := c.next()
		if err != nil {
			return command{}, fmt.Errorf("wait for the server's answer: %w", err)
		}
		if m.Type != TypeCommand && m.Type != TypeCommandAMF3 {
			continue
		}
		cmd, err := parseCommand(m)
		if err != nil {
			return command{}, err
		}
		switch {
		case cmd.name == "_result" && cmd.transaction == transaction:
			return cmd, nil
		case cmd.name == "_error" && cmd.transaction == transaction:
			return command{}, refusal(cmd)
		case cmd.name == "onStatus":
			if err := refusal(cmd); err != nil {
				return command{}, err
			}
		}
	}
}

// refusal returns the error that a status tells of, nil if it is none.
func refusal(cmd command) error {
	for _, v := range cmd.args {
		info, ok := v.(Object)
		if !ok {
			continue
		}
		if info.String("level") == "error" || cmd.name == "_error" {
			return &Refused{Code: printable(info.String("code")), Description: printable(info.String("description"))}
		}
		return nil
	}
	if cmd.name == "_error" {
		return &Refused{Code: "_error"}
	}
	return nil
}

// stream creates a message stream and returns the name to publish or play, with its query.
func (c *Client) stream(before ...[]byte) (string, error) {
	var b []byte
	for _, part := range before {
		b = append(b, part...)
	}
	b = append(b, c.command("createStream", nil)...)
	if err := c.write(b); err != nil {
		return "", err
	}
	answer, err := c.await(c.transaction)
	if err != nil {
		return "", err
	}
	id, ok := answer.number(0)
	if !ok {
		return "", fmt.Errorf("createStream: %w", ErrCommand)
	}
	c.streamID = uint32(id)
	return c.fullName(), nil
}

func (c *Client) fullName() string {
	if c.query == "" {
		return c.name
	}
	return c.name + "?" + c.query
}

// Publish asks to publish and returns once the server agrees. The error is a *Refused if it
// does not.
func (c *Client) Publish() error {
	name, err := c.stream(c.command("releaseStream", nil, c.fullName()), c.command("FCPublish", nil, c.fullName()))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := c.write(c.command("publish", nil, name, "live")); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return c.started("publish", "NetStream.Publish.Start")
}

// Play asks to play and returns once the server agrees. ReadMedia then returns the media.
func (c *Client) Play() error {
	name, err := c.stream()
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	b := c.command("play", nil, name, -2)
	b = append(b, appendControl(nil, TypeUserControl,
		0, eventSetBuffer, 0, 0, 0, byte(c.streamID), 0, 0, 3, 0xe8)...)
	if err := c.write(b); err != nil {
		return fmt.Errorf("play: %w", err)
	}
	return c.started("play", "NetStream.Play.Start")
}

// started reads until the status that a request was granted.
func (c *Client) started(what, code string) error {
	for {
		m, err := c.next()
		if err != nil {
			return fmt.Errorf("%s: wait for the server's answer: %w", what, err)
		}
		if m.Type != TypeCommand && m.Type != TypeCommandAMF3 {
			continue
		}
		cmd, err := parseCommand(m)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := refusal(cmd); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		for _, v := range cmd.args {
			if info, ok := v.(Object); ok && info.String("code") == code {
				c.phase(time.Time{}, nil)
				return nil
			}
		}
	}
}

// WriteMedia sends an audio or video message, or onMetaData as TypeData, with a timestamp in
// milliseconds. The payload is not kept.
func (c *Client) WriteMedia(t Type, timestamp uint32, payload []byte) error {
	csid := uint32(csidVideo)
	switch t {
	case TypeAudio:
		csid = csidAudio
	case TypeData:
		csid = csidData
		payload = append(append([]byte(nil), setDataFrame...), payload...)
	}
	c.buf = AppendMessage(c.buf[:0], csid, Message{Type: t, StreamID: c.streamID, Timestamp: timestamp, Payload: payload}, sendChunkSize)
	return c.write(c.buf)
}

// ReadMedia returns the next audio, video or data message, or the error of a server that ends
// the stream or the connection. A publisher calls it too, to answer pings and to hear of a
// refusal.
func (c *Client) ReadMedia() (Message, error) {
	for {
		m, err := c.next()
		if err != nil {
			return m, err
		}
		switch m.Type {
		case TypeAudio, TypeVideo, TypeData:
			return m, nil
		case TypeCommand, TypeCommandAMF3:
			cmd, err := parseCommand(m)
			if err != nil {
				return m, err
			}
			if err := refusal(cmd); err != nil {
				return m, err
			}
		}
	}
}

// Close ends a publication cleanly and closes the connection.
func (c *Client) Close() error {
	if c.streamID != 0 {
		b := c.command("FCUnpublish", nil, c.fullName())
		b = append(b, c.command("deleteStream", nil, float64(c.streamID))...)
		_ = c.write(b) // the connection closes in any case
	}
	return c.nc.Close()
}
