package rtmp

// AMF0 values (Adobe AMF0, 2007, section 2). In Go they are:
//
//	 0 number      float64        | value:64 IEEE |
//	 1 boolean     bool           | value:8 |
//	 2 string      string         | length:16 | UTF-8 |
//	 3 object      Object         | properties | 0:16 | 9:8 |
//	 5 null        nil
//	 6 undefined   Undefined
//	 7 reference   Reference      | index:16 |
//	 8 ECMA array  ECMAArray      | count:32 | properties | 0:16 | 9:8 |
//	10 array       []any          | count:32 | values |
//	11 date        time.Time      | milliseconds:64 IEEE | zone:16 |
//	12 long string string         | length:32 | UTF-8 |
//	13 unsupported Undefined
//	15 XML         XML            | length:32 | UTF-8 |
//	16 typed       TypedObject    | length:16 | class name | properties | 0:16 | 9:8 |
//	17 AMF3        AMF3           the rest of the message
//
// A property is | length:16 | name | value |.
const (
	markNumber      = 0
	markBoolean     = 1
	markString      = 2
	markObject      = 3
	markNull        = 5
	markUndefined   = 6
	markReference   = 7
	markECMAArray   = 8
	markObjectEnd   = 9
	markStrictArray = 10
	markDate        = 11
	markLongString  = 12
	markUnsupported = 13
	markXML         = 15
	markTypedObject = 16
	markAMF3        = 17
)

// Bounds of what is decoded. Metadata of real encoders has two levels, thirty
// properties and names of twenty bytes.
const (
	maxAMFDepth    = 16
	maxAMFElements = 4096
	maxAMFName     = 1024
)

type (
	// Property is a named value of an object.
	Property struct {
		Name  string
		Value any
	}
	// Object is an anonymous object, its properties in the order of the wire.
	Object []Property
	// ECMAArray is an associative array, in the order of the wire.
	ECMAArray []Property
	// TypedObject is an object with a class name.
	TypedObject struct {
		Class  string
		Object Object
	}
	// Undefined is the value undefined.
	Undefined struct{}
	// Reference is the number of an earlier object of the same message. It is
	// not resolved: a peer could make a cycle of it.
	Reference uint16
	// XML is an XML document.
	XML string
	// AMF3 stands for a value in AMF3, which is not decoded, and for all
	// that follows it.
	AMF3 struct{}
)

// Get returns the value of the first property with a name, nil if there is none.
func (o Object) Get(name string) any {
	for _, p := range o {
		if p.Name == name {
			return p.Value
		}
	}
	return nil
}

// String returns the value of a property if it is a string, else "".
func (o Object) String(name string) string {
	s, _ := o.Get(name).(string)
	return s
}

// Number returns the value of a property if it is a number, else 0.
func (o Object) Number(name string) float64 {
	n, _ := o.Get(name).(float64)
	return n
}

// AsObject returns the properties of an Object, ECMAArray or TypedObject.
func AsObject(v any) (Object, bool) {
	switch v := v.(type) {
	case Object:
		return v, true
	case ECMAArray:
		return Object(v), true
	case TypedObject:
		return v.Object, true
	}
	return nil, false
}
