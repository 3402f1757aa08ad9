// Package load puts a load on a live-video server and measures what it costs: publishers over RTMP, viewers
// over HTTP-FLV, WebSocket-FLV, RTMP, HTTP-TS and HLS, delay, lost frames, stalls, and the server's CPU and
// memory. It knows nothing of any server: URLs are all it needs, so that different servers can be compared.
//
// # How delay is measured
//
// Every video frame that is published gets a [stamp]: an SEI message user_data_unregistered with the time at
// which it was sent and its number. Servers that do not transcode pass it on in every format. A viewer that is
// looked into takes the stream apart as far as it must to find the stamps: the age of a frame when its last
// byte has come is its delay, a gap in the numbers is lost frames. Delay is from this program to this program,
// so it contains the time that this program was late itself; [PublisherReport] tells that.
//
//	Source ─▶ publisher ──RTMP──▶ server ──┬─▶ viewer that is looked into ─▶ parsers ─▶ tracker ─┬▶ meter ─▶ Report
//	            (stamps)                   └─▶ viewers that are counted ─────────────────────────┘
//
// # What it costs
//
// A load on the machine that it measures takes part of it, so it has to be cheap. Viewers that are not looked
// into are read by one epoll loop, and the kernel drops their bytes without copying them (MSG_TRUNC). On
// systems other than Linux each viewer has a goroutine that reads, which costs several times as much, and the
// server's usage cannot be read.
//
// # Players of HLS
//
// A viewer of HLS does what RFC 8216 section 6.3 tells players to: it reads the multivariant playlist, then
// the media playlist at the pace of the target duration, and each new segment once, starting three segments
// from the end. A model of its buffer tells when the picture would have stood still.
package load
