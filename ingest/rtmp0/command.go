package rtmp

import (
	"bytes"
	"fmt"
	"strings"
)

// command is a command message (RTMP 1.0, section 7.2): a name, a transaction number,
// an object or null, and arguments.
type command struct {
	name        string
	transaction float64
	object      Object
	args        []Value
	streamID    uint32
}

// parseCommand reads a command message. Those of type 17 begin with a format byte.
func parseCommand(m Message) (command, error) {
	payload := m.Payload
	if m.Type == TypeCommandAMF3 && len(payload) > 0 {
		payload = payload[1:]
	}
	values, err := DecodeAMF0(payload)
	if len(values) == 0 {
		if err == nil {
			err = ErrCommand
		}
		return command{}, fmt.Errorf("read command: %w", err)
	}
	name, ok := values[0].(string)
	if !ok {
		return command{}, fmt.Errorf("read command: %w: the name is no string", ErrCommand)
	}
	c := command{name: name, streamID: m.StreamID}
	if err != nil {
		return c, fmt.Errorf("read command %q: %w", printable(name), err)
	}
	if len(values) > 1 {
		c.transaction, _ = values[1].(float64)
	}
	if len(values) > 2 {
		switch v := values[2].(type) {
		case Object:
			c.object = v
		case ECMAArray:
			c.object = Object(v)
		}
	}
	if len(values) > 3 {
		c.args = values[3:]
	}
	return c, nil
}

// text returns an argument that is a string, "" otherwise.
func (c command) text(i int) string {
	if i >= len(c.args) {
		return ""
	}
	s, _ := c.args[i].(string)
	return s
}

// number returns an argument that is a number.
func (c command) number(i int) (float64, bool) {
	if i >= len(c.args) {
		return 0, false
	}
	n, ok := c.args[i].(float64)
	return n, ok
}

// printable shortens a peer's text for an error, without the query, where tokens are.
func printable(s string) string {
	s, _, _ = strings.Cut(s, "?")
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '.'
		}
		return r
	}, s)
}

// setDataFrame is what encoders put in front of metadata that the server should keep.
var setDataFrame = AppendAMF0(nil, "@setDataFrame")

// ScriptData returns the body of a script tag from a data message: without the format byte
// of type 15, without @setDataFrame. The name is that of the data, such as "onMetaData".
func ScriptData(m Message) (name string, body []byte) {
	body = m.Payload
	if m.Type == TypeDataAMF3 && len(body) > 0 && body[0] == 0 {
		body = body[1:]
	}
	body = bytes.TrimPrefix(body, setDataFrame)
	r := amfReader{b: body}
	v, err := r.value(0)
	name, ok := v.(string)
	if err != nil || !ok {
		return "", nil
	}
	return name, body
}

// splitQuery takes a path such as "live/test?token=abc" apart.
func splitQuery(s string) (path, query string) {
	path, query, _ = strings.Cut(s, "?")
	return strings.Trim(path, "/"), query
}

// joinQueries puts the queries of app and stream name together: encoders put it in either.
func joinQueries(queries ...string) string {
	var parts []string
	for _, q := range queries {
		q = strings.Trim(q, "&")
		if q != "" && !strings.Contains(strings.Join(parts, "&"), q) {
			parts = append(parts, q)
		}
	}
	return strings.Join(parts, "&")
}
