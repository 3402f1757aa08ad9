package rtmp

import "errors"

// Error is a fault of the peer, or of the connection, with a stable reason for
// counting.
type Error struct {
	// Code is a short stable word such as "not-rtmp".
	Code string
	Text string
}

func (e *Error) Error() string { return e.Text }

// The faults that callers branch on or count.
var (
	ErrTLS             = &Error{"tls-on-plain-port", "this is TLS, but the port speaks plain RTMP"}
	ErrHTTP            = &Error{"http-on-rtmp-port", "this is HTTP, but the port speaks RTMP"}
	ErrNotRTMP         = &Error{"not-rtmp", "this is not RTMP"}
	ErrHandshakeTime   = &Error{"handshake-timeout", "the handshake took too long"}
	ErrRequestTime     = &Error{"request-timeout", "neither publish nor play came in time"}
	ErrIdle            = &Error{"peer-gone", "the peer is gone: nothing came, not even an answer to pings"}
	ErrChunkFormat     = &Error{"chunk-format", "a chunk stream begins with a header that refers to one before it"}
	ErrChunkSize       = &Error{"chunk-size", "Set Chunk Size is not between 1 and 0x7fffffff"}
	ErrControl         = &Error{"control-message", "a protocol control message is too short"}
	ErrMessageSize     = &Error{"message-size", "a message is larger than allowed"}
	ErrTooManyChunks   = &Error{"chunk-streams", "more chunk streams than any encoder uses"}
	ErrTooMuchPartial  = &Error{"partial-messages", "too much memory is held by messages that have not come completely"}
	ErrAMF             = &Error{"amf", "an AMF value is malformed, too deep or too large"}
	ErrCommand         = &Error{"command", "a command lacks its arguments"}
	ErrTooManyStreams  = &Error{"message-streams", "more message streams than any encoder uses"}
	ErrTooManyCommands = &Error{"commands", "more commands without publishing or playing than any encoder sends"}
)

// Reason returns the code of an error, "connection" for those of the network.
func Reason(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return "connection"
}
