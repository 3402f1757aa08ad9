// Package ts serves streams as one transport stream without an end over HTTP, /APP/NAME.ts, for
// players, set-top boxes and recorders that take nothing newer.
//
// A log holds whole transport packets. Each place where a viewer may begin has PAT and PMT in front
// of it; they come in between as well. The continuity counters are the log's, so they run on for
// whoever reads on, and one that jumps is sent a discontinuity on each PID in between.
//
// Frames of sound are gathered for a fifth of a second, which costs a player nothing: by the clock
// that it is given everything is due half a second later (mpegts.DecodeDelay).
//
// Source: ISO/IEC 13818-1.
package ts
