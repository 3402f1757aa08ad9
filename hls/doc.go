// Package hls makes HTTP Live Streaming of a stream: it cuts MPEG-TS segments,
// keeps the window of those that are listed, renders playlists and answers requests.
//
// # The pieces
//
//	publisher's goroutine                 │ channel's goroutine        │ HTTP requests
//	                                      │                            │
//	Packet ─▶ Channel ─▶ cutter ─▶ closed ┼▶ storage ─▶ window ─▶ render ┼▶ bytes, files
//	            (muxes into slabs)        │                            │
//
// A Channel is a stream's HLS output. Its cutter runs in the publisher's goroutine,
// only moves memory, and hands each finished segment over. The channel's own
// goroutine stores it, lists it, and renders both playlists once; requests read the
// rendered bytes through one atomic pointer, and segments go out as files.
//
// # Names that never lie
//
// A channel has an incarnation, an identifier that no other channel of that name
// has or will have, and all its URLs lie below it:
//
//	/APP/NAME/index.m3u8                    multivariant, names the newest incarnation
//	/APP/NAME/INCARNATION/media.m3u8        media playlist
//	/APP/NAME/INCARNATION/SEQUENCE.ts       segments, immutable
//
// So a playlist that ended stays ended, and no cache can hold old bytes under a new
// segment's name, even when the data directory was lost.
//
// Sources: RFC 8216 and draft-pantos-hls-rfc8216bis; ISO/IEC 13818-1.
package hls
