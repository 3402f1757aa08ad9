package rtmp

// aggregate hands out the messages inside an aggregate message (RTMP 1.0,
// section 7.1.6), a run of FLV tags:
//
//	| type:8 | size:24 | timestamp:24 | timestamp bits 24-31:8 | stream id:24 |
//	| size bytes of payload | back pointer:32 = 11 + size |
//
// The first tag's timestamp stands for that of the aggregate, the others keep
// their distance to it. The stream ids and the back pointers mean nothing.
type aggregate struct {
	rest      []byte
	streamID  uint32
	offset    uint32 // what to add to the tags' timestamps
	remaining int    // how many more messages may follow
	stats     *counters
}

const (
	tagHeaderSize   = 11
	backPointerSize = 4
)

// split begins to hand out the messages of m.
func (a *aggregate) split(m message, stats *counters) {
	*a = aggregate{rest: m.payload, streamID: m.streamID, remaining: maxAggregateMessages, stats: stats}
	if len(m.payload) >= tagHeaderSize {
		a.offset = m.timestamp - tagTime(m.payload)
	}
}

// next returns the next message, if there is one. What follows a wrong length is
// skipped: there is no way to find the next tag.
func (a *aggregate) next() (message, bool) {
	for len(a.rest) > 0 {
		tag := a.rest
		if len(tag) < tagHeaderSize || a.remaining == 0 {
			return a.giveUp()
		}
		a.remaining--
		end := tagHeaderSize + int(uint24(tag[1:]))
		if len(tag) < end {
			return a.giveUp()
		}
		a.rest = tag[min(len(tag), end+backPointerSize):]
		m := message{
			kind:      tag[0] & 0x1f,
			streamID:  a.streamID,
			timestamp: tagTime(tag) + a.offset,
			payload:   tag[tagHeaderSize:end:end],
		}
		if limit, _ := sizeLimit(m.kind, len(m.payload)); isMedia(m.kind) && m.kind != typeAggregate && len(m.payload) <= limit {
			return m, true
		}
		a.stats.skip(SkipAggregate)
	}
	a.rest = nil
	return message{}, false
}

func (a *aggregate) giveUp() (message, bool) {
	a.stats.skip(SkipAggregate)
	a.rest = nil
	return message{}, false
}

// tagTime returns the timestamp of an FLV tag.
func tagTime(tag []byte) uint32 {
	return uint24(tag[4:]) | uint32(tag[7])<<24
}
