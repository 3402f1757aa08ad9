// Package flv serves streams as FLV over HTTP and WebSocket, the low-latency output.
//
// What a viewer gets is an FLV file without an end: its header, the metadata and the decoder
// configurations, the tags from the newest keyframe on. How it travels is package live's.
//
// Source: Adobe Video File Format Specification 10.1 annex E.
package flv
