package flvtag

import (
	"encoding/binary"
	"math"
)

// Property is one entry of onMetaData. Value is a string, a float64 or a bool.
type Property struct {
	Name  string
	Value any
}

// The AMF 0 markers that onMetaData needs (AMF 0 specification, section 2.1).
const (
	amfNumber    = 0x00
	amfBoolean   = 0x01
	amfString    = 0x02
	amfECMAArray = 0x08
	amfObjectEnd = 0x09
)

// maxText is the longest string that is written, in bytes.
const maxText = 1024

// AppendMetadata appends the body of an onMetaData script tag (annex E.5) to dst.
func AppendMetadata(dst []byte, properties []Property) []byte {
	dst = appendText(append(dst, amfString), "onMetaData")
	dst = binary.BigEndian.AppendUint32(append(dst, amfECMAArray), uint32(len(properties)))
	for _, p := range properties {
		dst = appendText(dst, p.Name)
		switch v := p.Value.(type) {
		case float64:
			dst = binary.BigEndian.AppendUint64(append(dst, amfNumber), math.Float64bits(v))
		case bool:
			dst = append(dst, amfBoolean, 0)
			if v {
				dst[len(dst)-1] = 1
			}
		case string:
			dst = appendText(append(dst, amfString), v)
		default:
			dst = appendText(append(dst, amfString), "")
		}
	}
	return append(dst, 0, 0, amfObjectEnd)
}

func appendText(dst []byte, s string) []byte {
	s = s[:min(len(s), maxText)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}
