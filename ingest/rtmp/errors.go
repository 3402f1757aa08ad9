package rtmp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Reasons why a connection ended: stable words for counters and logs.
const (
	ReasonTLS              = "tls-on-rtmp-port"       // a TLS ClientHello instead of C0
	ReasonHTTP             = "http-on-rtmp-port"      // an HTTP request instead of C0
	ReasonNotRTMP          = "not-rtmp"               // anything else instead of C0
	ReasonEncrypted        = "rtmpe-unsupported"      // C0 asks for RTMPE (6, 8, 9)
	ReasonHandshakeTimeout = "handshake-timeout"      // the handshake took too long
	ReasonCommandTimeout   = "command-timeout"        // no publish or play in time
	ReasonPeerGone         = "peer-gone"              // silent, and the ping was not answered
	ReasonMediaTimeout     = "media-timeout"          // a publication without media
	ReasonWriteTimeout     = "write-timeout"          // the peer does not read
	ReasonChunkHeader      = "chunk-header"           // a fresh chunk stream begins with type 2 or 3
	ReasonChunkSize        = "chunk-size"             // Set Chunk Size out of range
	ReasonMessageTooLarge  = "message-too-large"      // a message above its limit
	ReasonPartialMessages  = "too-many-partials"      // unfinished messages on too many chunk streams
	ReasonPartialBytes     = "too-many-partial-bytes" // unfinished messages hold too much memory
	ReasonCommandOrder     = "command-order"          // publish or play before connect
	ReasonRefused          = "refused"                // refused by this side
	ReasonRefusedByPeer    = "refused-by-peer"        // refused by the other side
	ReasonEOF              = "eof"                    // the peer closed in order
	ReasonTruncated        = "truncated"              // the peer closed within a message
	ReasonReset            = "reset"                  // the peer or the network reset the connection
	ReasonClosed           = "closed"                 // closed by this side
	ReasonCanceled         = "canceled"               // the context ended
	ReasonUnknown          = "unknown"
)

// Error is a fault of the peer or a refusal. Its text never holds a payload, a
// stream name's query, a token or a key.
type Error struct {
	Reason string // one of the Reason constants
	Op     string // what was being done, such as "read chunk header"
	Text   string // what is wrong
}

func (e *Error) Error() string { return e.Op + ": " + e.Text }

func fault(reason, op, text string) error {
	return &Error{Reason: reason, Op: op, Text: text}
}

// Reason returns the stable word for why err ended a connection: the Reason of
// an Error, or one that fits the network error. It is "" for nil.
func Reason(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Reason
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated
	case errors.Is(err, io.EOF):
		return ReasonEOF
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return ReasonClosed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ReasonCanceled
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ETIMEDOUT):
		return ReasonReset
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonWriteTimeout
	}
	return ReasonUnknown
}
