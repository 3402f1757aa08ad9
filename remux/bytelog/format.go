package bytelog

import "github.com/headwater-live/headwater/remux"

// Format renders packets. Its methods are called by one goroutine at a time, except Join.
type Format interface {
	// Size is the most bytes that Append adds for a packet, and must not be less than it
	// does; 0 leaves the packet out.
	Size(pkt *remux.Packet) int
	// Append adds a packet as one unit, which a viewer is sent whole or not at all.
	Append(dst []byte, pkt *remux.Packet) []byte
	// Join adds what a viewer must be sent before it begins, or goes on after a jump, at a
	// keyframe. It may be called by any goroutine.
	Join(dst []byte, j Join) []byte
}

// Join is where a viewer begins or continues.
type Join struct {
	// First: the viewer has been sent nothing yet.
	First bool
	// Tracks are those that the log has.
	Tracks remux.Tracks
	// Configs are the metadata, configurations and states in force, in that order; empty
	// where the viewer has them already.
	Configs []*remux.Packet
	// DTS is that of the keyframe, in ms.
	DTS int64
}
