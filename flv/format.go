package flv

import (
	"encoding/binary"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// format is FLV. It is a bytelog.Format.
type format struct {
	// tracks are announced where the stream's are not known.
	tracks remux.Tracks
}

// Size implements bytelog.Format.
func (format) Size(pkt *remux.Packet) int {
	return flvtag.HeaderSize + len(pkt.Payload) + flvtag.TrailerSize
}

// Append implements bytelog.Format.
func (format) Append(dst []byte, pkt *remux.Packet, _ bool) []byte {
	var head [flvtag.HeaderSize]byte
	flvtag.PutHeader(head[:], pkt.TagType(), len(pkt.Payload), uint32(pkt.DTS))
	dst = append(dst, head[:]...)
	dst = append(dst, pkt.Payload...)
	return binary.BigEndian.AppendUint32(dst, uint32(flvtag.HeaderSize+len(pkt.Payload)))
}

// Join implements bytelog.Format.
func (f format) Join(dst []byte, j bytelog.Join) []byte {
	if j.First {
		tracks := j.Tracks
		if !tracks.Audio && !tracks.Video {
			tracks = f.tracks
		}
		dst = flvtag.AppendFileHeader(dst, tracks.Audio, tracks.Video)
	}
	for _, pkt := range j.Configs {
		dst = flvtag.AppendTag(dst, pkt.TagType(), uint32(j.DTS), pkt.Payload)
	}
	return dst
}
