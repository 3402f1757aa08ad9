// Package flv serves streams as HTTP-FLV, the low-latency output.
//
// Viewers read a byte log (package remux/bytelog) in which each FLV tag already stands in its
// HTTP chunk, so that over HTTP/1.1 a viewer's backlog goes out with one write:
//
//	"0000a3f2\r\n" tag "\r\n" "00000a17\r\n" tag "\r\n" …
//
// HTTP/1.0 and HTTP/2 frame for themselves and get the bare tags.
//
// Sources: Adobe Video File Format Specification 10.1 annex E; RFC 9112 section 7.1.
package flv
