package edge

import (
	"bytes"
	"net/http"
	"strings"
)

// What net/http refuses by itself (400, 417, 431, 501, 505) it writes to the connection as a whole, with header fields of
// its own choice. A page of another site would see a failed request and no status, so the fields of all other answers
// are put in between; on a private listener those that tell pages nothing. Over TLS that cannot be done: net/http speaks
// HTTP/2 only on a *tls.Conn, and what it writes to that arrives here encrypted.

// Those fields, for an answer that nobody should keep: its request was broken, and not what it asked for.
var (
	privateFields = written(http.Header{"X-Content-Type-Options": noSniff, "Cache-Control": {"no-store"}})
	publicFields  = append(written(http.Header{
		"Access-Control-Allow-Origin":   allowOrigin,
		"Access-Control-Expose-Headers": exposeHeaders,
		"Timing-Allow-Origin":           timing,
	}), privateFields...)
)

func written(fields http.Header) []byte {
	var b strings.Builder
	_ = fields.Write(&b) // never fails
	return []byte(b.String())
}

// completed returns an answer that was written before any handler was asked, with our fields; nil if it is none, but what
// TLS says.
func completed(b, fields []byte) []byte {
	if !bytes.HasPrefix(b, []byte("HTTP/1.")) {
		return nil
	}
	line := bytes.Index(b, []byte("\r\n"))
	if line < 0 {
		return nil
	}
	line += len("\r\n")
	all := make([]byte, 0, len(b)+len(fields))
	return append(append(append(all, b[:line]...), fields...), b[line:]...)
}
