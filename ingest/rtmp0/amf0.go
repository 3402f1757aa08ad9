package rtmp

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Value is an AMF 0 value: nil (null), Undefined, float64, bool, string, Object, ECMAArray,
// []Value (strict array), Date, or Unsupported for what is skipped.
type Value any

// The values that have no Go type of their own.
type (
	// Undefined is the AMF value "undefined".
	Undefined struct{}
	// Unsupported stands for a value that was passed over: the unsupported marker, a
	// reference, or everything from an AMF 3 value on.
	Unsupported struct{}
	// Date is in milliseconds since 1970, UTC.
	Date float64
	// Object is an anonymous or typed object, its properties in order.
	Object []Property
	// ECMAArray is an associative array, its properties in order.
	ECMAArray []Property
	// Property is one name and value of an object.
	Property struct {
		Name  string
		Value Value
	}
)

// Get returns the value of a property, nil if there is none.
func (o Object) Get(name string) Value {
	for _, p := range o {
		if p.Name == name {
			return p.Value
		}
	}
	return nil
}

// String returns the value of a property that is a string, "" otherwise.
func (o Object) String(name string) string {
	s, _ := o.Get(name).(string)
	return s
}

// The markers (AMF 0, section 2.1).
const (
	markerNumber      = 0x00
	markerBoolean     = 0x01
	markerString      = 0x02
	markerObject      = 0x03
	markerNull        = 0x05
	markerUndefined   = 0x06
	markerReference   = 0x07
	markerECMAArray   = 0x08
	markerObjectEnd   = 0x09
	markerStrictArray = 0x0a
	markerDate        = 0x0b
	markerLongString  = 0x0c
	markerUnsupported = 0x0d
	markerXML         = 0x0f
	markerTypedObject = 0x10
	markerAMF3        = 0x11
)

// maxAMFDepth bounds nesting, and maxAMFValues all the values of a message: onMetaData of
// real encoders has two levels and forty values, Enhanced RTMP's connect a hundred.
const (
	maxAMFDepth  = 16
	maxAMFValues = 4096
)

// amfReader decodes values. Declared counts are hints and take no memory.
type amfReader struct {
	b      []byte
	values int
}

// DecodeAMF0 decodes all values of a payload. What follows an AMF 3 value is left out.
func DecodeAMF0(b []byte) ([]Value, error) {
	r := amfReader{b: b}
	var values []Value
	for len(r.b) > 0 {
		v, err := r.value(0)
		if err != nil {
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}

func (r *amfReader) value(depth int) (Value, error) {
	if depth > maxAMFDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrAMF, maxAMFDepth)
	}
	if r.values++; r.values > maxAMFValues {
		return nil, fmt.Errorf("%w: more than %d values", ErrAMF, maxAMFValues)
	}
	marker, err := r.take(1)
	if err != nil {
		return nil, err
	}
	switch marker[0] {
	case markerNumber:
		return r.number()
	case markerBoolean:
		b, err := r.take(1)
		return err == nil && b[0] != 0, err
	case markerString:
		return r.shortString()
	case markerLongString, markerXML:
		return r.longString()
	case markerObject:
		return r.object(depth)
	case markerTypedObject:
		if _, err := r.shortString(); err != nil {
			return nil, err
		}
		return r.object(depth)
	case markerECMAArray:
		if _, err := r.take(4); err != nil {
			return nil, err
		}
		o, err := r.object(depth)
		return ECMAArray(o), err
	case markerStrictArray:
		return r.strictArray(depth)
	case markerDate:
		n, err := r.number()
		if err == nil {
			_, err = r.take(2) // the time zone, which is reserved
		}
		return Date(n), err
	case markerNull:
		return nil, nil
	case markerUndefined:
		return Undefined{}, nil
	case markerReference:
		_, err := r.take(2)
		return Unsupported{}, err
	case markerUnsupported:
		return Unsupported{}, nil
	case markerAMF3:
		r.b = nil
		return Unsupported{}, nil
	}
	return nil, fmt.Errorf("%w: marker %#x", ErrAMF, marker[0])
}

// object reads properties to the end marker. A message that ends without one is what some
// encoders send.
func (r *amfReader) object(depth int) (Object, error) {
	o := Object{}
	for len(r.b) > 0 {
		name, err := r.shortString()
		if err != nil {
			return o, err
		}
		if name == "" && len(r.b) > 0 && r.b[0] == markerObjectEnd {
			r.b = r.b[1:]
			return o, nil
		}
		if len(r.b) == 0 {
			return o, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return o, err
		}
		o = append(o, Property{name, v})
	}
	return o, nil
}

func (r *amfReader) strictArray(depth int) ([]Value, error) {
	b, err := r.take(4)
	if err != nil {
		return nil, err
	}
	count := binary.BigEndian.Uint32(b)
	if uint64(count) > uint64(len(r.b)) {
		return nil, fmt.Errorf("%w: an array of %d values in %d bytes", ErrAMF, count, len(r.b))
	}
	values := []Value{}
	for range count {
		v, err := r.value(depth + 1)
		if err != nil {
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}

func (r *amfReader) number() (float64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

func (r *amfReader) shortString() (string, error) {
	b, err := r.take(2)
	if err != nil {
		return "", err
	}
	b, err = r.take(int(binary.BigEndian.Uint16(b)))
	return string(b), err
}

func (r *amfReader) longString() (string, error) {
	b, err := r.take(4)
	if err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(r.b)) {
		return "", fmt.Errorf("%w: a string of %d bytes in %d", ErrAMF, n, len(r.b))
	}
	b, err = r.take(int(n))
	return string(b), err
}

func (r *amfReader) take(n int) ([]byte, error) {
	if n > len(r.b) {
		return nil, fmt.Errorf("%w: ends inside a value", ErrAMF)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b, nil
}

// AppendAMF0 appends values to dst: those that Value lists, ints as numbers. Strings above
// 65535 bytes become long strings. Other types are written as undefined.
func AppendAMF0(dst []byte, values ...Value) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			dst = append(dst, markerNull)
		case float64:
			dst = appendNumber(append(dst, markerNumber), v)
		case int:
			dst = appendNumber(append(dst, markerNumber), float64(v))
		case bool:
			dst = append(dst, markerBoolean, 0)
			if v {
				dst[len(dst)-1] = 1
			}
		case string:
			dst = appendString(dst, v)
		case Object:
			dst = appendProperties(append(dst, markerObject), v)
		case ECMAArray:
			dst = binary.BigEndian.AppendUint32(append(dst, markerECMAArray), uint32(len(v)))
			dst = appendProperties(dst, v)
		case []Value:
			dst = binary.BigEndian.AppendUint32(append(dst, markerStrictArray), uint32(len(v)))
			dst = AppendAMF0(dst, v...)
		case Date:
			dst = append(appendNumber(append(dst, markerDate), float64(v)), 0, 0)
		case Unsupported:
			dst = append(dst, markerUnsupported)
		default:
			dst = append(dst, markerUndefined)
		}
	}
	return dst
}

func appendNumber(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
}

func appendString(dst []byte, s string) []byte {
	if len(s) > math.MaxUint16 {
		dst = binary.BigEndian.AppendUint32(append(dst, markerLongString), uint32(len(s)))
		return append(dst, s...)
	}
	return appendName(append(dst, markerString), s)
}

func appendName(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func appendProperties(dst []byte, properties []Property) []byte {
	for _, p := range properties {
		dst = AppendAMF0(appendName(dst, p.Name), p.Value)
	}
	return append(dst, 0, 0, markerObjectEnd)
}
