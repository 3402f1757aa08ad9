package rtmp

import "strings"

// tag returns an FLV tag with its back pointer.
func tag(kind uint8, time uint32, payload string) []byte {
	b := appendUint24([]byte{kind}, uint32(len(payload)))
	b = append(appendUint24(b, time&0xffffff), byte(time>>24), 0, 0, 0)
	return join(b, payload, []byte{0, 0, 0, byte(11 + len(payload))})
}

func inAggregate(time uint32, tags ...any) []byte {
	return AppendMessage(nil, 4, typeAggregate, 1, time, defaultChunkSize, join(tags...))
}

func video(time uint32, payload string) message {
	return message{kind: TypeVideo, streamID: 1, timestamp: time, payload: []byte(payload)}
}

func aggregateCases() []chunkCase {
	after := join(header(0, 5, 9, 2, TypeAudio), "zz")
	return []chunkCase{
		{name: "aggregate, rebased to the message's time",
			in:   join(inAggregate(5000, tag(8, 100, "a1"), tag(9, 120, x200), tag(8, 121, "")), after),
			want: []message{audio(5000, "a1"), video(5020, x200), audio(5021, ""), audio(9, "zz")}},
		{name: "aggregate whose times wrap",
			in:   join(inAggregate(0xfffffff0, tag(8, 100, "a1"), tag(8, 132, "a2")), after),
			want: []message{audio(0xfffffff0, "a1"), audio(0x10, "a2"), audio(9, "zz")}},
		{name: "aggregate with times above 24 bits",
			in:   join(inAggregate(7, tag(8, 1<<24, "a1"), tag(8, 1<<24+20, "a2")), after),
			want: []message{audio(7, "a1"), audio(27, "a2"), audio(9, "zz")}},
		{name: "aggregate without its last back pointer",
			in:   join(inAggregate(7, tag(8, 0, "a1"), tag(8, 20, "a2")[:13]), after),
			want: []message{audio(7, "a1"), audio(27, "a2"), audio(9, "zz")}},
		{name: "aggregate with a length beyond its end",
			in:   join(inAggregate(7, tag(8, 0, "a1"), []byte{8, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0}, "x"), after),
			want: []message{audio(7, "a1"), audio(9, "zz")}, skips: map[Skip]uint64{SkipAggregate: 1}},
		{name: "aggregate that ends within a tag header",
			in:   join(inAggregate(7, tag(8, 0, "a1"), []byte{8, 0, 0}), after),
			want: []message{audio(7, "a1"), audio(9, "zz")}, skips: map[Skip]uint64{SkipAggregate: 1}},
		{name: "aggregate in an aggregate, and a command in it",
			in:   join(inAggregate(7, tag(22, 0, string(tag(8, 0, "a1"))), tag(20, 0, "c"), tag(8, 5, "a2")), after),
			want: []message{audio(12, "a2"), audio(9, "zz")}, skips: map[Skip]uint64{SkipAggregate: 2}},
		{name: "aggregate of nothing", in: join(inAggregate(7), after), want: []message{audio(9, "zz")}},
		{name: "aggregate of more messages than are believed",
			in:   join(inAggregate(7, strings.Repeat(string(tag(9, 0, "")), maxAggregateMessages+1)), after),
			want: append(slicesRepeat(video(7, ""), maxAggregateMessages), audio(9, "zz")), skips: map[Skip]uint64{SkipAggregate: 1}},
		{name: "aggregate with script data beyond 64 KiB",
			in:   join(inAggregate(7, tag(18, 0, strings.Repeat("x", 64<<10+1)), tag(8, 5, "a2")), after),
			want: []message{audio(12, "a2"), audio(9, "zz")}, skips: map[Skip]uint64{SkipAggregate: 1}},
	}
}

func slicesRepeat(m message, n int) []message {
	all := make([]message, n)
	for i := range all {
		all[i] = m
	}
	return all
}
