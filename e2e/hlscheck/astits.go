package hlscheck

import (
	"bytes"
	"context"
	"errors"

	"github.com/asticode/go-astits"
)

// thirdOpinion demultiplexes the segment with go-astits and compares the PES
// packets: number, times and bytes. It guards the checker against its own
// mistakes, and the origin against streams that only one reader understands.
func thirdOpinion(body []byte, x *examiner) {
	if len(body) < 2*packetSize {
		return
	}
	mine := map[uint16][]*pes{}
	for _, p := range x.done {
		mine[p.pid] = append(mine[p.pid], p)
	}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(body), astits.DemuxerOptPacketSize(packetSize))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			x.add("ts-second-reader", "go-astits refuses the segment: %v", err)
			return
		}
		if data.PES == nil || data.PES.Header.OptionalHeader == nil {
			continue
		}
		rest := mine[data.PID]
		if len(rest) == 0 {
			x.add("ts-second-reader", "go-astits finds a PES packet on PID %d more than the strict reader", data.PID)
			return
		}
		p, h := rest[0], data.PES.Header.OptionalHeader
		mine[data.PID] = rest[1:]
		if (h.PTS != nil && h.PTS.Base != p.pts) || (h.DTS != nil && h.DTS.Base != p.dts) || !bytes.Equal(data.PES.Data, p.payload) {
			x.add("ts-second-reader", "packet %d, PID %d: go-astits reads %d bytes at PTS %v, the strict reader %d at %d",
				p.first, p.pid, len(data.PES.Data), h.PTS, len(p.payload), p.pts)
			return
		}
	}
	for pid, rest := range mine {
		if len(rest) > 0 {
			x.add("ts-second-reader", "go-astits misses %d PES packets of PID %d", len(rest), pid)
		}
	}
}
