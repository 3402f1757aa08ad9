// Package e2e proves Headwater's main job from the outside: the real binary is
// started as a process, real encoders publish to it over RTMP, and real players
// and independent libraries watch what comes out.
//
// # How a test works
//
//	fixture (FLV) ──ffmpeg -c copy──▶ headwater serve ──▶ HLS recorder ──▶ ffprobe ──┐
//	      │                              (-race)     └──▶ FLV recorder ──▶ ffprobe ──┤
//	      └──────────────────────────── ffprobe ─────────────────────────────────────┴──▶ account
//
// A [fixture] is made with ffmpeg at test time. The recorders are players that
// keep every byte: the HLS recorder polls the playlist every 100 ms from before
// the first frame and fetches each segment once, the FLV recorder reads one HTTP
// response to its end. ffprobe and ffmpeg read source and recordings into a
// [media]: per track, the frames in coded order with time and payload hash.
// [account] then says what differs: a frame that is missing, came twice, came
// out of order, has other bytes, or is more than a millisecond off.
//
// Payloads are compared in a normal form, because a container may frame them
// differently: video without access unit delimiters and parameter sets, audio
// without ADTS headers.
//
// # The referee
//
// Whoever starts a server has the referee of package hlscheck watch all HLS
// streams of it, from their first publication to the test's end and through all
// restarts: see [patrol]. A test that knows more calls it by itself. Rules that
// cannot hold in a test are named in it, with the reason.
//
// # Load
//
// Most tests run at the speed of the clock and cost little, so many run side by
// side. What costs CPU (encoding fixtures, probing recordings) takes one of a
// few slots and runs at low priority, so that it never makes a publisher late.
// Groups of tests run one after the other.
//
// # Tools
//
// A missing tool is a failure that names the Debian package to install; nothing
// is skipped. The package holds nothing but tests.
package e2e
