// Package hlscheck watches an HLS origin from outside and says where it breaks
// its promises. It is a referee for end-to-end tests: it shares no code with the
// packages it judges, reads playlists with its own line parser (and gohlslib as a
// second opinion) and transport streams with its own packet reader (and go-astits
// as a second opinion).
//
// A Checker polls the multivariant playlist and every media playlist it names,
// keeps each version it sees with its time and headers, fetches each listed
// segment, and fetches it again when it leaves the playlist and once more before
// its retention ends. Report applies every rule to that history:
//
//	c := hlscheck.New(hlscheck.Options{URL: origin + "/live/test/index.m3u8"})
//	go c.Run(ctx)
//	...
//	c.Mark(hlscheck.PublisherLeft)
//	...
//	report := c.Report()
//
// CheckHTTP asks the questions a cache or a browser asks: HEAD, conditional and
// ranged requests, gzip, CORS, methods, unknown paths. CheckSegments applies the
// same rules as Report to a recorded or invented history, without a network.
//
// # Findings
//
// A Finding names a rule by a stable id such as "media-sequence-decreased", the
// specification section it comes from, and the numbered behaviour below to which
// the rule belongs. Must findings are defects. Should findings are legal, yet
// worse than an origin ought to do.
//
//	 1  rounded EXTINF within a constant TARGETDURATION; true INDEPENDENT-SEGMENTS
//	 2  append at the tail, remove at the head, numbers never go back, no URI reuse
//	 3  a new segment within 1.5 target durations
//	 4  ENDLIST and PLAYLIST-TYPE only when the stream is over
//	 5  three target durations of window; removed segments stay a while
//	 6  EXT-X-DISCONTINUITY exactly where the stream breaks
//	 7  EXT-X-PROGRAM-DATE-TIME where it is needed, and consistent
//	 8  a truthful multivariant playlist
//	 9  EXTINF is the distance between first decode times
//	10  PAT and PMT first, truthful stream types, running continuity counters
//	11  random access at the start, AUD before each access unit
//	12  PCR often enough and before its access unit, DTS increasing
//	13  ADTS frames that chain, at little cost
//	14  legal PES headers and stuffing
//	15  every frame once, in order
//	16  media types, lengths, HEAD, ranges, conditional requests
//	17  cache lifetimes, strong ETags, gzip
//	18  plain errors, no cookies, no redirects
//	19  an existing stream answers 200 whatever the query
//	20  CORS on every answer
//
// # Accounting
//
// Report.AccessUnits is the ordered list of everything that came out: one entry
// per video access unit and per AAC frame, with its times and the SHA-256 of what
// the encoder sent (see AccessUnit), so that a test which knows what went in can
// tell what was lost, doubled or altered.
package hlscheck
