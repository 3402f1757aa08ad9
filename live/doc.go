// Package live answers an HTTP request with a stream as it comes, for as long as both sides
// like: the container is the format's business, and how it travels is this package's.
//
//	HTTP/1.1    chunks, which stand in the log around the units, so that a viewer's backlog
//	            goes out with one write:  "0000a3f2\r\n" unit "\r\n" "00000a17\r\n" unit "\r\n" …
//	HTTP/1.0    the bare bytes; the end of the connection is the end of the answer
//	WebSocket   the bare bytes; each write is one binary message
//	HTTP/2      the bare bytes, through net/http, which frames them
//
// All but HTTP/2 take the connection over from net/http, whose goroutine and buffers are then
// free. What is sent is a byte log (package remux/bytelog), one for each selection of tracks
// and each of chunked and bare.
//
// Sources: RFC 9112 section 7.1, RFC 6455.
package live
