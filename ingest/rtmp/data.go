package rtmp

const setDataFrame = "@setDataFrame"

// dataBody returns the payload of a data message as FLV has it in a script tag:
// | "onMetaData" | value |, without the AMF3 format byte of type 15 and without
// the @setDataFrame that publishers put before it. It is a part of the payload.
func dataBody(kind uint8, p []byte) (body []byte, ok bool) {
	if kind == typeDataAMF3 {
		p = skipFormatByte(p)
	}
	d := amfDecoder{b: p}
	v, err := d.value(0)
	name, isText := v.(string)
	if err != nil || !isText {
		return nil, false
	}
	if name == setDataFrame {
		p = d.b
	}
	return p, len(p) > 0
}

// DecodeData decodes the payload of a Media of TypeData: its name, such as
// "onMetaData", and its first value, usually an ECMAArray or an Object (see
// AsObject), nil if there is none. The value may be incomplete if err is not nil.
func DecodeData(payload []byte) (name string, value any, err error) {
	values, err := DecodeAMF0(payload)
	if len(values) > 0 {
		name, _ = values[0].(string)
	}
	if len(values) > 1 {
		value = values[1]
	}
	return name, value, err
}

// skipFormatByte skips the byte before the AMF0 values in messages of the AMF3
// types 15 and 17. Some senders leave it out; a name never begins with a 0.
func skipFormatByte(p []byte) []byte {
	if len(p) > 0 && p[0] == 0 {
		return p[1:]
	}
	return p
}
