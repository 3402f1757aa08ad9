package e2e

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// units checks what belongs to access units.
func (c *tsChecker) units(data []byte) {
	demuxer := astits.NewDemuxer(context.Background(), bytes.NewReader(data), astits.DemuxerOptPacketSize(tsPacket))
	first := true
	for {
		d, err := demuxer.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			c.fault("demux: %v", err)
			return
		}
		if d.PES == nil {
			continue
		}
		dts, ok := c.times(d)
		if !ok {
			continue
		}
		switch d.PID {
		case c.videoPID:
			c.accessUnit(d, first)
			if first {
				c.firstDTS = &dts
			}
			first = false
		case c.audioPID:
			c.audioFrames(d.PES.Data)
			if c.videoPID == 0 && c.firstDTS == nil {
				c.firstDTS = &dts
			}
		}
	}
	if c.wantVideo && first {
		c.fault("holds no video")
	}
}

// times checks PTS and DTS of a PES packet and returns the DTS.
func (c *tsChecker) times(d *astits.DemuxerData) (time.Duration, bool) {
	header := d.PES.Header.OptionalHeader
	if header == nil || header.PTS == nil {
		c.fault("a PES packet on PID %d has no PTS", d.PID)
		return 0, false
	}
	if !header.DataAlignmentIndicator {
		c.fault("a PES packet on PID %d has no data_alignment_indicator", d.PID)
	}
	pts := header.PTS.Duration()
	dts := pts
	if header.DTS != nil {
		dts = header.DTS.Duration()
	}
	if pts < dts {
		c.fault("PTS %v is before DTS %v on PID %d", pts, dts, d.PID)
	}
	if last, ok := c.lastDTS[d.PID]; ok && dts <= last {
		c.fault("DTS %v follows %v on PID %d", dts, last, d.PID)
	}
	c.lastDTS[d.PID] = dts
	if field := d.FirstPacket.AdaptationField; field != nil && field.HasPCR && field.PCR.Duration() > dts {
		c.fault("PCR %v is after the DTS %v of its access unit", field.PCR.Duration(), dts)
	}
	return dts, true
}

// accessUnit checks the NAL units of a picture.
func (c *tsChecker) accessUnit(d *astits.DemuxerData, first bool) {
	var units h264.AnnexB
	if err := units.Unmarshal(d.PES.Data); err != nil {
		c.fault("access unit: %v", err)
		return
	}
	var idr, sps, pps bool
	for i, u := range units {
		switch h264.NALUType(u[0] & 0x1f) {
		case h264.NALUTypeAccessUnitDelimiter:
			if i > 0 {
				c.fault("an access unit delimiter in the middle of an access unit")
			}
		case h264.NALUTypeSPS:
			sps = true
		case h264.NALUTypePPS:
			pps = true
		case h264.NALUTypeIDR:
			if !idr && (!sps || !pps) {
				c.fault("an IDR picture without SPS and PPS before it")
			}
			idr = true
		}
	}
	if h264.NALUType(units[0][0]&0x1f) != h264.NALUTypeAccessUnitDelimiter {
		c.fault("an access unit that does not start with a delimiter")
	}
	random := d.FirstPacket.AdaptationField != nil && d.FirstPacket.AdaptationField.RandomAccessIndicator
	if random != idr {
		c.fault("random_access_indicator is %t, IDR %t", random, idr)
	}
	if first && !idr {
		c.fault("does not start with an IDR picture")
	}
}

// audioFrames checks that a PES packet holds whole ADTS frames.
func (c *tsChecker) audioFrames(data []byte) {
	var frames mpeg4audio.ADTSPackets
	if err := frames.Unmarshal(data); err != nil {
		c.fault("audio PES packet: %v", err)
		return
	}
	for _, f := range frames {
		c.audioPayload += len(f.AU)
	}
}
