package rtmp

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// amfCase is a value and its encoding: decoded and encoded, and a seed of the
// fuzz target.
type amfCase struct {
	name  string
	wire  string
	value any
}

var amfCases = []amfCase{
	{"number", "\x00\x3f\xf0\x00\x00\x00\x00\x00\x00", 1.0},
	{"boolean true", "\x01\x01", true},
	{"boolean false", "\x01\x00", false},
	{"string", "\x02\x00\x03abc", "abc"},
	{"empty string", "\x02\x00\x00", ""},
	{"object", "\x03\x00\x01b\x01\x01\x00\x01a\x05\x00\x00\x09", Object{{"b", true}, {"a", nil}}},
	{"empty object", "\x03\x00\x00\x09", Object{}},
	{"object with an empty name", "\x03\x00\x00\x05\x00\x00\x09", Object{{"", nil}}},
	{"null", "\x05", nil},
	{"undefined", "\x06", Undefined{}},
	{"reference", "\x07\x00\x05", Reference(5)},
	{"ECMA array", "\x08\x00\x00\x00\x01\x00\x01a\x02\x00\x01x\x00\x00\x09", ECMAArray{{"a", "x"}}},
	{"strict array", "\x0a\x00\x00\x00\x02\x05\x01\x01", []any{nil, true}},
	{"empty strict array", "\x0a\x00\x00\x00\x00", []any{}},
	{"date", "\x0b\x42\x79\x5b\x91\x4e\xe8\x00\x00\x00\x00", time.UnixMilli(1742566911616).UTC()},
	{"long string", "\x0c\x00\x01\x00\x00" + strings.Repeat("x", 65536), strings.Repeat("x", 65536)},
	{"XML", "\x0f\x00\x00\x00\x04<a/>", XML("<a/>")},
	{"typed object", "\x10\x00\x01C\x00\x01a\x05\x00\x00\x09", TypedObject{"C", Object{{"a", nil}}}},
	{"nested", "\x03\x00\x01a\x08\x00\x00\x00\x00\x00\x01b\x0a\x00\x00\x00\x01\x03\x00\x00\x09\x00\x00\x09\x00\x00\x09",
		Object{{"a", ECMAArray{{"b", []any{Object{}}}}}}},
}

func TestAMF0ValuesOfEveryKind(t *testing.T) {
	for _, c := range amfCases {
		got, err := DecodeAMF0([]byte(c.wire))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], c.value) {
			t.Errorf("%s: decoded %v: %v", c.name, got, err)
		}
		want := c.wire
		if c.name == "nested" { // the declared count was wrong
			want = strings.Replace(want, "\x08\x00\x00\x00\x00", "\x08\x00\x00\x00\x01", 1)
		}
		if b := AppendAMF0(nil, c.value); string(b) != want {
			t.Errorf("%s: encoded % x", c.name, b)
		}
	}
}

func TestAMF0IsReadByOthers(t *testing.T) {
	b := AppendAMF0(nil, "connect", 1, Object{{"app", "live"}, {"list", []any{"a", 2.0, nil, true}}, {"map", ECMAArray{{"k", 4.0}}}})
	got, err := amf0.Unmarshal(b)
	want := amf0.Data{"connect", 1.0, amf0.Object{
		{Key: "app", Value: "live"}, {Key: "list", Value: amf0.StrictArray{"a", 2.0, nil, true}},
		{Key: "map", Value: amf0.ECMAArray{{Key: "k", Value: 4.0}}},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("gortmplib reads %v: %v", got, err)
	}
	back, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back, b) {
		t.Errorf("gortmplib writes\n% x, not\n% x", back, b)
	}
}

func TestUglyAMF0(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("\x0a\x00\x00\x00\x01", n) + "\x05" }
	nested := func(n int) any {
		var v any
		for range n {
			v = []any{v}
		}
		return v
	}
	for _, c := range []struct {
		name, in string
		want     []any
		err      error
	}{
		{"nothing", "", nil, nil},
		{"object without an end marker", "\x03\x00\x01a\x05", []any{Object{{"a", nil}}}, nil},
		{"ECMA array without an end marker", "\x08\x00\x00\x00\x05\x00\x01a\x05", []any{ECMAArray{{"a", nil}}}, nil},
		{"object that breaks off in a name", "\x05\x03\x00\x01a\x05\x00\x05b", []any{nil, Object{{"a", nil}}}, errAMFShort},
		{"object that breaks off in a value", "\x03\x00\x01a\x05\x00\x01b\x00\x01", []any{Object{{"a", nil}}}, errAMFShort},
		{"unsupported", "\x0d", []any{Undefined{}}, nil},
		{"AMF3 value and what follows", "\x05\x11\x0a\x0b\x01", []any{nil, AMF3{}}, nil},
		{"AMF3 value in an object", "\x03\x00\x01a\x11\x04\x05", []any{Object{{"a", AMF3{}}}}, nil},
		{"strict array with a count of four thousand millions", "\x0a\xff\xff\xff\xff\x05", nil, errAMFShort},
		{"ECMA array with a count of four thousand millions", "\x08\xff\xff\xff\xff\x00\x00\x09", []any{ECMAArray{}}, nil},
		{"string beyond the end", "\x02\xff\xffx", nil, errAMFShort},
		{"long string beyond the end", "\x0c\xff\xff\xff\xffx", nil, errAMFShort},
		{"short number", "\x00\x00", nil, errAMFShort},
		{"short boolean", "\x01", nil, errAMFShort},
		{"short date", "\x0b\x00", nil, errAMFShort},
		{"short reference", "\x07\x00", nil, errAMFShort},
		{"short string length", "\x02\x00", nil, errAMFShort},
		{"short array count", "\x0a\x00", nil, errAMFShort},
		{"short ECMA array count", "\x08\x00", nil, errAMFShort},
		{"short class name", "\x10\x00\x05C", nil, errAMFShort},
		{"movie clip", "\x04", nil, errAMFMarker},
		{"record set", "\x05\x0e", []any{nil}, errAMFMarker},
		{"end marker alone", "\x09", nil, errAMFMarker},
		{"unknown marker", "\xff", nil, errAMFMarker},
		{"sixteen levels", deep(16), []any{nested(16)}, nil},
		{"seventeen levels", deep(17), nil, errAMFDepth},
		{"as many values as there may be", strings.Repeat("\x05", 4096), make([]any, 4096), nil},
		{"one value too many", strings.Repeat("\x05", 4097), make([]any, 4096), errAMFElements},
		{"long name", "\x03\x04\x01" + strings.Repeat("n", 1025) + "\x05\x00\x00\x09", nil, errAMFName},
		{"infinite date", "\x0b\x7f\xf0\x00\x00\x00\x00\x00\x00\x00\x00", []any{time.Time{}}, nil},
		{"date that is no number", "\x0b\x7f\xf8\x00\x00\x00\x00\x00\x00\x00\x00", []any{time.Time{}}, nil},
	} {
		got, err := DecodeAMF0([]byte(c.in))
		if err != c.err || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestAMF0MemoryIsTakenForValuesThatAreThere(t *testing.T) {
	in := []byte("\x0a\xff\xff\xff\xff\x08\xff\xff\xff\xff\x00\x00\x09")
	if took := allocated(func() { _, _ = DecodeAMF0(in) }); took > 4<<10 {
		t.Errorf("took %d bytes for %d", took, len(in))
	}
}

func TestAMF0EncodesWhatItCannotDecode(t *testing.T) {
	if b := AppendAMF0(nil, 5, struct{}{}, int64(1)); !bytes.Equal(b, append(AppendAMF0(nil, 5.0), markUndefined, markUndefined)) {
		t.Errorf("% x", b)
	}
	loop := Object{{"me", nil}}
	loop[0].Value = loop
	if b := AppendAMF0(nil, loop); len(b) > 1000 {
		t.Errorf("%d bytes", len(b))
	}
	if b := AppendAMF0(nil, Object{{strings.Repeat("n", 70000), nil}}); len(b) != 1+2+65535+1+3 {
		t.Errorf("%d bytes", len(b))
	}
	if b := AppendAMF0(nil, math.Inf(1)); !bytes.Equal(b, []byte("\x00\x7f\xf0\x00\x00\x00\x00\x00\x00")) {
		t.Errorf("% x", b)
	}
}

func TestObjectProperties(t *testing.T) {
	for _, v := range []any{Object{{"a", "x"}, {"n", 2.0}}, ECMAArray{{"a", "x"}, {"n", 2.0}}, TypedObject{Object: Object{{"a", "x"}, {"n", 2.0}}}} {
		o, ok := AsObject(v)
		if !ok || o.String("a") != "x" || o.Number("n") != 2 || o.String("n") != "" || o.Number("a") != 0 || o.Get("b") != nil {
			t.Errorf("%T: %v, %v", v, o, ok)
		}
	}
	if _, ok := AsObject("x"); ok {
		t.Error("a string is an object")
	}
}
