package bytelog

import "github.com/headwater-live/headwater/remux"

// Format renders packets for one log, which calls its methods one at a time. The times of the packets
// are those of the log's clock; a packet is the format's until the method returns.
type Format interface {
	// Size is the most bytes that Append adds for a packet, and must not be less than it
	// does; 0 leaves the packet out.
	Size(pkt *remux.Packet) int
	// Append adds a packet as one unit, which a viewer is sent whole or not at all. start:
	// viewers may begin with this unit.
	Append(dst []byte, pkt *remux.Packet, start bool) []byte
	// Join adds what a viewer must be sent before it begins, or goes on after a jump, at a
	// keyframe.
	Join(dst []byte, j Join) []byte
}

// Ender is a Format that keeps something back.
type Ender interface {
	Format
	// EndSize is the most bytes that End adds.
	EndSize() int
	// End adds what was kept back, at the end of a publication and before each place where
	// viewers may begin. start is as for Append.
	End(dst []byte, start bool) []byte
}

// Beginner is a Format that says which tracks there are.
type Beginner interface {
	Format
	// Begin says which tracks a publication has, as far as they are known: one that comes later announces
	// itself by its first packet. Configurations that have not changed are not appended again.
	Begin(tracks remux.Tracks)
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
	// DTS is that of the keyframe, in ms by the log's clock.
	DTS int64
	// AtEnd: nothing has been appended after the place where the viewer begins or continues,
	// which is where the newest start was otherwise.
	AtEnd bool
}
