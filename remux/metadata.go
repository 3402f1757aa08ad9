package remux

import (
	"slices"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// dropped are properties of an encoder's onMetaData that are not passed on: they are
// false for a live stream, or stated from the decoder configuration instead.
var dropped = map[string]bool{
	"duration": true, "filesize": true, "keyframes": true, "lasttimestamp": true, "lastkeyframetimestamp": true,
	"canSeekToEnd": true, "hasKeyframes": true, "hasMetadata": true, "hasCuePoints": true, "datasize": true,
	"width": true, "height": true, "displayWidth": true, "displayHeight": true,
	"videocodecid": true, "audiocodecid": true, "framerate": true, "fps": true,
	"audiosamplerate": true, "audiosamplesize": true, "audiochannels": true, "stereo": true,
	"hasVideo": true, "hasAudio": true,
}

// SetMetadata takes what the encoder says of itself. Viewers are sent the rest of it, with
// size, codecs and rates as the decoder configurations have them.
func (p *Publication) SetMetadata(properties []flvtag.Property) {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	if p.ended {
		return
	}
	p.properties = slices.DeleteFunc(slices.Clone(properties), func(q flvtag.Property) bool { return dropped[q.Name] })
	if p.decided {
		p.sendMetadata(p.stream.timeline.End())
	}
}

// sendMetadata passes the metadata on if they have changed, dated dts.
func (p *Publication) sendMetadata(dts int64) {
	body := p.renderMetadata()
	if string(body) == string(p.metadata) {
		return
	}
	p.metadata = body
	p.stream.write(&Packet{Kind: Metadata, DTS: dts, Payload: body})
}

// renderMetadata writes onMetaData from the configurations in force.
func (p *Publication) renderMetadata() []byte {
	var list []flvtag.Property
	number := func(name string, v float64) {
		if v > 0 {
			list = append(list, flvtag.Property{Name: name, Value: v})
		}
	}
	if v := &p.video; v.config != nil {
		number("width", float64(v.facts.Width))
		number("height", float64(v.facts.Height))
		number("framerate", v.facts.FPS)
		number("videocodecid", codecNumber(&v.config.pkt, 0x80, 0x80, 0))
	}
	if a := &p.audio; a.config != nil {
		number("audiosamplerate", float64(a.aac.SampleRate))
		number("audiochannels", float64(a.aac.Channels))
		list = append(list, flvtag.Property{Name: "stereo", Value: a.aac.Channels == 2})
		number("audiocodecid", codecNumber(a.config, 0xF0, 0x90, 4))
	}
	return flvtag.AppendMetadata(nil, append(list, p.properties...))
}

// codecNumber is the number of a codec: the one in the header of its packets, which is
// shifted by some bits, or its FourCC where that is an enhanced one, as Enhanced RTMP says.
func codecNumber(pkt *Packet, mask, enhanced byte, shift int) float64 {
	if first := pkt.Payload[0]; first&mask != enhanced {
		return float64(first >> shift & 0x0F)
	}
	return float64(pkt.Codec)
}
