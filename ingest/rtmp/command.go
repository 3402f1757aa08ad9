package rtmp

import "strings"

// command is a command message (RTMP 1.0, section 7.2), AMF0 values in a row:
//
//	| name string | transaction number | command object or null | arguments... |
//
// GStreamer sends 0 as transaction where an answer is not wanted, and a string
// where deleteStream has a number: no type is relied on.
type command struct {
	name        string
	transaction float64
	object      Object // the command object, nil if it is none
	args        []any  // what follows it
	streamID    uint32 // of the message
}

// parseCommand decodes a command. Arguments that cannot be decoded are missing.
func parseCommand(m message) (command, bool) {
	p := m.payload
	if m.kind == typeCommandAMF3 {
		p = skipFormatByte(p)
	}
	values, _ := DecodeAMF0(p) // what could be decoded is all there is
	if len(values) == 0 {
		return command{}, false
	}
	cmd := command{streamID: m.streamID}
	var ok bool
	if cmd.name, ok = values[0].(string); !ok || cmd.name == "" {
		return command{}, false
	}
	if len(values) > 1 {
		cmd.transaction, _ = values[1].(float64)
	}
	if len(values) > 2 {
		cmd.object, _ = AsObject(values[2])
		cmd.args = values[3:]
	}
	return cmd, true
}

func (c *command) arg(i int) any {
	if i >= len(c.args) {
		return nil
	}
	return c.args[i]
}

func (c *command) text(i int) string {
	s, _ := c.arg(i).(string)
	return s
}

// number returns a numeric argument; a missing or other one gives otherwise.
func (c *command) number(i int, otherwise float64) float64 {
	if n, ok := c.arg(i).(float64); ok {
		return n
	}
	return otherwise
}

// Codes of onStatus and of answers to connect, as players and encoders know them.
const (
	CodeConnectSuccess  = "NetConnection.Connect.Success"
	CodeConnectRejected = "NetConnection.Connect.Rejected"
	CodeInvalidApp      = "NetConnection.Connect.InvalidApp"
	CodeCallFailed      = "NetConnection.Call.Failed"

	CodePublishStart    = "NetStream.Publish.Start"
	CodePublishDenied   = "NetStream.Publish.Denied"
	CodePublishBadName  = "NetStream.Publish.BadName"
	CodePublishRejected = "NetStream.Publish.Rejected"
	CodeUnpublish       = "NetStream.Unpublish.Success"

	CodePlayReset           = "NetStream.Play.Reset"
	CodePlayStart           = "NetStream.Play.Start"
	CodePlayStop            = "NetStream.Play.Stop"
	CodePlayFailed          = "NetStream.Play.Failed"
	CodePlayStreamNotFound  = "NetStream.Play.StreamNotFound"
	CodePlayPublishNotify   = "NetStream.Play.PublishNotify"
	CodePlayUnpublishNotify = "NetStream.Play.UnpublishNotify"
	CodePause               = "NetStream.Pause.Notify"
	CodeUnpause             = "NetStream.Unpause.Notify"
	CodeSeek                = "NetStream.Seek.Notify"
	CodeDataStart           = "NetStream.Data.Start"
)

const (
	levelStatus = "status"
	levelError  = "error"
)

// level returns the level that goes with a code.
func level(code string) string {
	for _, word := range []string{"Denied", "BadName", "Rejected", "Failed", "NotFound", "Invalid"} {
		if strings.Contains(code, word) {
			return levelError
		}
	}
	return levelStatus
}

// statusInfo is the information object of onStatus and of answers.
func statusInfo(level, code, description string) Object {
	return Object{{"level", level}, {"code", code}, {"description", description}}
}

// appendCommand appends a command message.
func appendCommand(dst []byte, csid, streamID uint32, chunkSize int, values ...any) []byte {
	return AppendMessage(dst, csid, typeCommandAMF0, streamID, 0, chunkSize, AppendAMF0(nil, values...))
}
