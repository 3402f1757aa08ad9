package hls

import "time"

// bandwidth measures what the multivariant playlist states.
type bandwidth struct {
	recent []sized // the newest segments, at most 1.5 target durations of them
	peak   uint64  // bits per second, 0 while all there is is too short to tell
	bits   uint64
	length time.Duration
	// stated is the average that was stated last.
	stated uint64
}

type sized struct {
	bits   uint64
	length time.Duration
}

// add takes a segment into account. The peak is the largest rate of contiguous
// segments that last 0.5 to 1.5 target durations together (RFC 8216, 4.1).
func (b *bandwidth) add(s *segment, target time.Duration) {
	next := sized{bits: uint64(s.size) * 8, length: s.duration.duration()}
	b.bits += next.bits
	b.length += next.length
	b.recent = append(b.recent, next)
	var run sized
	for i := len(b.recent) - 1; i >= 0; i-- {
		run.bits += b.recent[i].bits
		run.length += b.recent[i].length
		if run.length > target*3/2 {
			b.recent = b.recent[i:]
			break
		}
		if run.length >= target/2 {
			b.peak = max(b.peak, run.rate())
		}
	}
}

// rates returns the peak and the average in bits per second, rounded up to 10
// kbit/s. The average does not change as long as it is right to 5%, so that the
// playlist does not change with every segment.
func (b *bandwidth) rates() (peak, average uint64) {
	const unit = 10_000
	up := func(rate uint64) uint64 { return (rate + unit - 1) / unit * unit }
	now := sized{bits: b.bits, length: b.length}.rate()
	if off := max(now, b.stated) - min(now, b.stated); b.stated == 0 || off > now/20+unit {
		b.stated = up(now)
	}
	return max(up(b.peak), b.stated), b.stated
}

func (s sized) rate() uint64 {
	if s.length <= 0 {
		return 0
	}
	return uint64(float64(s.bits) / s.length.Seconds())
}
