// Package bytelog renders a stream once for many viewers.
//
// A Log is a stream in one format: an append-only chain of slabs that the publisher's
// goroutine writes and all viewers read in place.
//
//	slab ──▶ slab ──▶ slab            unit unit unit unit unit …
//	  ▲         ▲        ▲ ▲
//	  viewer    viewer   │ end
//	                     newest keyframe: who joins, or fell behind, begins here
//
// A unit is a packet in the log's Format, with whatever framing the wire wants already
// around it. A viewer is a position; catching up is one write of everything between that
// and the end of the slab. Nothing is copied, framed or counted per viewer. Slabs that no
// viewer and no keyframe refers to are garbage.
//
// A log is attached to its stream while somebody watches (see Logs), and the stream's GOP
// cache brings a new one up to date. Viewers are woken at most once per latency, so that
// one write carries what came meanwhile.
package bytelog
