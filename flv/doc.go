// Package flv serves streams as HTTP-FLV, the low-latency output.
//
// # The byte log
//
// A Log is a stream rendered once: FLV tags, each already inside its HTTP chunk, in
// an append-only chain of slabs.
//
//	slab ──▶ slab ──▶ slab            "0000a3f2\r\n" tag "\r\n" "00000a17\r\n" tag "\r\n" …
//	  ▲         ▲        ▲ ▲
//	  viewer    viewer   │ end
//	                     newest keyframe: who joins, or fell behind, begins here
//
// A viewer is a position. Catching up is one write of everything between its position
// and the end of the slab, straight from the log: nothing is copied or framed per
// viewer. Slabs that no viewer and no keyframe refers to are garbage.
//
// A log is attached to its stream while somebody watches, and not otherwise; the
// stream's GOP cache brings a new log up to date.
//
// Sources: Adobe Video File Format Specification 10.1 annex E; RFC 9112 section 7.1.
package flv
