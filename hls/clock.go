package hls

// ticks is a time in units of 1/90000 s, as in MPEG-TS.
type ticks int64

// perMillisecond is the number of ticks in a millisecond, perSecond in a second.
const (
	perMillisecond = 90
	perSecond      = 90_000
)
