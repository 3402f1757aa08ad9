package rtmp

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendAMF0 appends values in AMF0. Besides what DecodeAMF0 returns it takes
// ints. A string of more than 65535 bytes becomes a long string; names are cut
// there. A value of any other type becomes undefined.
func AppendAMF0(dst []byte, values ...any) []byte {
	for _, v := range values {
		dst = appendAMFValue(dst, v, 0)
	}
	return dst
}

func appendAMFValue(dst []byte, v any, depth int) []byte {
	if depth > maxAMFDepth {
		return append(dst, markUndefined)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, markNull)
	case bool:
		if v {
			return append(dst, markBoolean, 1)
		}
		return append(dst, markBoolean, 0)
	case int:
		return appendAMFValue(dst, float64(v), depth)
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, markNumber), math.Float64bits(v))
	case string:
		if len(v) > math.MaxUint16 {
			return appendLong(dst, markLongString, v)
		}
		return appendAMFText(append(dst, markString), v)
	case XML:
		return appendLong(dst, markXML, string(v))
	case time.Time:
		dst = binary.BigEndian.AppendUint64(append(dst, markDate), math.Float64bits(float64(v.UnixMilli())))
		return append(dst, 0, 0)
	case Reference:
		return binary.BigEndian.AppendUint16(append(dst, markReference), uint16(v))
	case Object:
		return appendProperties(append(dst, markObject), v, depth)
	case TypedObject:
		return appendProperties(appendAMFText(append(dst, markTypedObject), v.Class), v.Object, depth)
	case ECMAArray:
		dst = binary.BigEndian.AppendUint32(append(dst, markECMAArray), uint32(len(v)))
		return appendProperties(dst, v, depth)
	case []any:
		dst = binary.BigEndian.AppendUint32(append(dst, markStrictArray), uint32(len(v)))
		for _, e := range v {
			dst = appendAMFValue(dst, e, depth+1)
		}
		return dst
	}
	return append(dst, markUndefined)
}

func appendProperties(dst []byte, props []Property, depth int) []byte {
	for _, p := range props {
		dst = appendAMFText(dst, p.Name)
		dst = appendAMFValue(dst, p.Value, depth+1)
	}
	return append(dst, 0, 0, markObjectEnd)
}

func appendAMFText(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func appendLong(dst []byte, marker byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(append(dst, marker), uint32(len(s))), s...)
}
