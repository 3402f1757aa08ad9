// Package remux is the heart of Headwater: it takes what one publisher sends on a
// stream and hands it, put right, to any number of sinks. Nothing is transcoded.
//
// # The model
//
//	Hub ──1:n──▶ Stream ──0..1──▶ Publication      (who may write now)
//	               │
//	               └──────0..n──▶ Sink             (HLS channel, FLV log, …)
//
// A Hub knows the streams by name. A Stream is what a name such as "live/test"
// stands for; it is made when somebody publishes and outlives its publishers by
// the grace period. A Publication is one publisher's turn: ingest writes RTMP
// messages into it and it turns them into Packets on the stream's timeline.
//
// # What a sink may rely on
//
//   - Its methods are called one at a time, in the order Begin, Write…, End, and
//     again Begin after End when a publisher returns; Close comes last, once.
//   - DTS is strictly increasing for each of the two tracks over the whole life of
//     the stream, across publishers too.
//   - A configuration comes before the first frame that needs it, and a changed
//     video configuration directly before the keyframe where it takes effect.
//   - Payloads are immutable and may be kept.
//
// In return a sink never blocks: it is called with the stream's lock held.
//
// # Lifetimes
//
// A publication that ends (by its publisher, by being fenced, or by silence) starts
// the grace period. If another begins within it the stream goes on, with the next
// generation number. Otherwise the sinks are closed and the name is free; the next
// publisher makes a new Stream.
package remux
