// Package hls makes HTTP Live Streaming of a stream: it cuts MPEG-TS segments,
// keeps the window of those that are listed, renders playlists and answers requests.
//
// # The pieces
//
//	publisher's goroutine    │ channel's goroutine           │ HTTP requests
//	                         │                               │
//	Packet ─▶ segmenter ─────┼▶ window ─▶ render ────────────┼▶ bytes, files
//	           (cutter, mux) │    │ ▲ waits, but not long    │
//	                         │    ▼ │                        │
//	                         │  writer's goroutine: storage, journal
//
// A Channel is a stream's HLS output. Its segmenter runs in the publisher's goroutine,
// only moves memory, and hands each finished segment over. The channel's own goroutine
// gives it to the writer, lists it, and renders both playlists once; requests read the
// rendered bytes through one atomic pointer, and segments go out as files.
//
// Only the writer, and requests for segments, ask the storage for something, and may be
// stuck in it. What it does not take in time is listed from memory, within bounds.
//
// # Names that never lie
//
// A channel has an incarnation, an identifier that no other channel of that name
// has or will have, and all its URLs lie below it:
//
//	/APP/NAME/index.m3u8                    multivariant, names the newest incarnation
//	/APP/NAME/INCARNATION/media.m3u8        media playlist
//	/APP/NAME/INCARNATION/SEQUENCE-TAG.ts   segments, immutable
//
// So a playlist that ended stays ended, and no cache can hold old bytes under a new
// segment's name, even when the data directory was lost. The tag is new for each run
// of the server, so that this holds as well where a run ended before it could write
// down what it had listed.
//
// # What outlives the process
//
// Each segment is stored, then written down in the channel's journal, then listed.
// Server.Restore reads the journals back (docs/journal.md): the playlists are the same
// again, and a publisher who comes within the grace period continues them.
//
// Sources: RFC 8216 and draft-pantos-hls-rfc8216bis; ISO/IEC 13818-1.
package hls
