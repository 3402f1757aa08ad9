package rtmp

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

var (
	errAMFShort    = errors.New("decode AMF0: the value is longer than the message")
	errAMFMarker   = errors.New("decode AMF0: unknown marker")
	errAMFDepth    = errors.New("decode AMF0: nested too deeply")
	errAMFElements = errors.New("decode AMF0: too many values")
	errAMFName     = errors.New("decode AMF0: property name too long")
)

// DecodeAMF0 decodes the values of a message. At a fault it returns what was
// decoded before it along with the error, also of an object that breaks off.
// Memory is taken for values that are there; declared
// counts are not believed, and an object whose end marker is missing ends with
// the message.
func DecodeAMF0(b []byte) ([]any, error) {
	d := amfDecoder{b: b}
	var values []any
	for len(d.b) > 0 {
		v, err := d.value(0)
		if err != nil {
			if o, ok := AsObject(v); ok && len(o) > 0 {
				values = append(values, v)
			}
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}

type amfDecoder struct {
	b        []byte
	elements int
}

func (d *amfDecoder) take(n int) ([]byte, error) {
	if n > len(d.b) {
		return nil, errAMFShort
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p, nil
}

// text takes a string with a length of lengthSize bytes before it.
func (d *amfDecoder) text(lengthSize int) ([]byte, error) {
	p, err := d.take(lengthSize)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, b := range p {
		n = n<<8 | int(b)
	}
	return d.take(n)
}

func (d *amfDecoder) value(depth int) (any, error) {
	if depth > maxAMFDepth {
		return nil, errAMFDepth
	}
	if d.elements++; d.elements > maxAMFElements {
		return nil, errAMFElements
	}
	marker, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch marker[0] {
	case markObject:
		p, err := d.properties(depth)
		return Object(p), err
	case markECMAArray:
		if _, err := d.take(4); err != nil {
			return nil, err
		}
		p, err := d.properties(depth)
		return ECMAArray(p), err
	case markTypedObject:
		class, err := d.text(2)
		if err != nil {
			return nil, err
		}
		p, err := d.properties(depth)
		return TypedObject{Class: string(class), Object: p}, err
	case markStrictArray:
		return d.array(depth)
	}
	return d.scalar(marker[0])
}

func (d *amfDecoder) scalar(marker byte) (any, error) {
	switch marker {
	case markNull:
		return nil, nil
	case markUndefined, markUnsupported:
		return Undefined{}, nil
	case markAMF3:
		d.b = nil
		return AMF3{}, nil
	case markNumber:
		p, err := d.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(p)), nil
	case markBoolean:
		p, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return p[0] != 0, nil
	case markReference:
		p, err := d.take(2)
		if err != nil {
			return nil, err
		}
		return Reference(binary.BigEndian.Uint16(p)), nil
	case markDate:
		p, err := d.take(8 + 2) // the zone is reserved and 0
		if err != nil {
			return nil, err
		}
		return amfTime(math.Float64frombits(binary.BigEndian.Uint64(p))), nil
	case markString:
		p, err := d.text(2)
		return string(p), err
	case markLongString:
		p, err := d.text(4)
		return string(p), err
	case markXML:
		p, err := d.text(4)
		return XML(p), err
	}
	return nil, errAMFMarker
}

// amfTime converts a date; one that time.Time cannot hold is the zero time.
func amfTime(ms float64) time.Time {
	const limit = 8.64e15 // ECMAScript's range of dates, in milliseconds
	if !(math.Abs(ms) <= limit) {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// properties decodes up to the end marker, or to the end of the message where
// that is missing.
func (d *amfDecoder) properties(depth int) ([]Property, error) {
	props := []Property{}
	for len(d.b) > 0 {
		if len(d.b) >= 3 && d.b[0] == 0 && d.b[1] == 0 && d.b[2] == markObjectEnd {
			d.b = d.b[3:]
			return props, nil
		}
		name, err := d.text(2)
		if err != nil {
			return props, err
		}
		if len(name) > maxAMFName {
			return props, errAMFName
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return props, err
		}
		props = append(props, Property{Name: string(name), Value: v})
	}
	return props, nil
}

func (d *amfDecoder) array(depth int) (any, error) {
	p, err := d.take(4)
	if err != nil {
		return nil, err
	}
	values := []any{}
	for n := binary.BigEndian.Uint32(p); n > 0; n-- {
		v, err := d.value(depth + 1)
		if err != nil {
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}
