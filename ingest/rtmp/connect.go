package rtmp

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// ConnectInfo is what a client said of itself in connect (RTMP 1.0, section
// 7.2.1.1, and Enhanced RTMP v2, "NetConnection connect").
type ConnectInfo struct {
	App            string // without query and outer slashes
	TcURL          string // redacted, see Redact
	FlashVer       string // the encoder or player, such as "FMLE/3.0 (compatible; FMSc/1.0)"
	Type           string // "nonprivate" from encoders
	ObjectEncoding float64
	Codecs         Codecs // what Enhanced RTMP clients can send or play

	rawApp, rawTcURL string // with what may be secret in them
}

// Codecs is what one end of a connection can do by Enhanced RTMP.
type Codecs struct {
	// FourCCs are codecs such as "avc1", "hvc1" or "mp4a", "*" for any, as v1
	// lists them.
	FourCCs []string
	// Video and Audio say what can be done with a codec (v2): 1 decode,
	// 2 encode, 4 forward, or any sum of these.
	Video, Audio map[string]int
	// CapsEx is the sum of 1 reconnect, 2 multitrack, 4 ModEx, 8 nanosecond
	// timestamps.
	CapsEx int
}

func (c *Codecs) isZero() bool {
	return len(c.FourCCs) == 0 && len(c.Video) == 0 && len(c.Audio) == 0 && c.CapsEx == 0
}

const (
	keyFourCCs = "fourCcList"
	keyVideo   = "videoFourCcInfoMap"
	keyAudio   = "audioFourCcInfoMap"
	keyCapsEx  = "capsEx"
)

func parseConnect(o Object) *ConnectInfo {
	c := &ConnectInfo{
		FlashVer:       o.String("flashVer"),
		Type:           o.String("type"),
		ObjectEncoding: finite(o.Number("objectEncoding")),
		rawApp:         o.String("app"),
		rawTcURL:       o.String("tcUrl"),
	}
	if c.rawTcURL == "" {
		c.rawTcURL = o.String("tcurl")
	}
	c.TcURL = Redact(c.rawTcURL)
	app, _, _ := strings.Cut(c.rawApp, "?")
	c.App = strings.Trim(app, "/")

	if list, ok := o.Get(keyFourCCs).([]any); ok {
		for _, v := range list {
			if s, ok := v.(string); ok {
				c.Codecs.FourCCs = append(c.Codecs.FourCCs, s)
			}
		}
	}
	c.Codecs.Video = parseCodecMap(o.Get(keyVideo))
	c.Codecs.Audio = parseCodecMap(o.Get(keyAudio))
	c.Codecs.CapsEx = int(o.Number(keyCapsEx))
	return c
}

func parseCodecMap(v any) map[string]int {
	o, ok := AsObject(v)
	if !ok {
		return nil
	}
	m := make(map[string]int)
	for _, p := range o {
		if n, ok := p.Value.(float64); ok {
			m[p.Name] = int(n)
		}
	}
	return m
}

// properties returns what Enhanced RTMP adds to connect and to its answer.
func (c *Codecs) properties() Object {
	var o Object
	if len(c.FourCCs) > 0 {
		list := make([]any, len(c.FourCCs))
		for i, f := range c.FourCCs {
			list[i] = f
		}
		o = append(o, Property{keyFourCCs, list})
	}
	for _, m := range []struct {
		key    string
		codecs map[string]int
	}{{keyVideo, c.Video}, {keyAudio, c.Audio}} {
		if len(m.codecs) == 0 {
			continue
		}
		var info Object
		for _, name := range slices.Sorted(maps.Keys(m.codecs)) {
			info = append(info, Property{name, m.codecs[name]})
		}
		o = append(o, Property{m.key, info})
	}
	if !c.isZero() {
		o = append(o, Property{keyCapsEx, c.CapsEx})
	}
	return o
}

// finite returns a number, 0 for one that is none.
func finite(n float64) float64 {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n
}
