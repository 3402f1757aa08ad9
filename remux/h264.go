package remux

import (
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

// inspectH264 puts an access unit right: Annex B becomes AVCC, the keyframe flag
// says what the slices say, and parameter sets that came in the frame become a
// configuration where none came otherwise. It returns false for what is no access
// unit.
func (p *Publication) inspectH264(pkt *Packet, h flvtag.VideoHeader) bool {
	v := &p.video
	lengthSize := 4
	if v.next != nil {
		lengthSize = v.nextAVC.LengthSize
	} else if v.config != nil {
		lengthSize = v.avc.LengthSize
	}
	if h264.IsAnnexB(pkt.Body()) {
		converted := append(make([]byte, 0, len(pkt.Payload)+64), pkt.Payload[:pkt.Data]...)
		pkt.Payload = h264.AppendAVCC(converted, pkt.Body())
		lengthSize = 4
	}
	facts := h264.Inspect(pkt.Body(), lengthSize)
	if facts.NALUs == 0 {
		return false
	}
	if facts.IDR {
		v.sawIDR = true
	}
	// An encoder that never sends an IDR (open GOP, intra refresh) is taken at its
	// word, so that it gets a stream at all.
	pkt.Keyframe = facts.IDR || (!v.sawIDR && h.Frame == flvtag.FrameKey && facts.Slices > 0)
	if facts.SPS && facts.PPS && !v.explicit {
		p.deriveConfig(pkt, lengthSize)
	}
	return true
}

// deriveConfig makes a sequence header from the parameter sets in an access unit,
// if they are not those in force. A sequence header that came since the last
// keyframe has the last word, else an encoder whose two copies differ would change
// configuration at every keyframe.
func (p *Publication) deriveConfig(pkt *Packet, lengthSize int) {
	v := &p.video
	sps, pps := h264.ParameterSets(pkt.Body(), lengthSize)
	current := v.avc
	if v.next != nil {
		current = v.nextAVC
	}
	if (v.config != nil || v.next != nil) && current.Contains(sps, pps) {
		return
	}
	avc, err := h264.ConfigFromParameterSets(sps, pps)
	if err != nil {
		p.counters.Malformed++
		return
	}
	avc.LengthSize = lengthSize
	v.codec = flvtag.H264
	v.next = avc.Append([]byte{byte(flvtag.FrameKey)<<4 | 7, 0, 0, 0, 0})
	v.nextAVC = avc
}
