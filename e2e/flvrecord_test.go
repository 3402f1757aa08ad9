package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"
)

// flvRecording is one HTTP-FLV response, or another one that lasts as long as the stream.
type flvRecording struct {
	status int
	header http.Header
	body   []byte
	ended  bool // the server ended the response as HTTP demands
	faults []string
}

// recordFLV reads the response at url until it ends or ctx does. asked is
// closed when the request has been sent; the stream need not exist before.
func recordFLV(ctx context.Context, url string, asked chan<- struct{}) (flvRecording, error) {
	return record(ctx, url, "video/x-flv", asked)
}

// record does so with a stream of a certain type.
func record(ctx context.Context, url, contentType string, asked chan<- struct{}) (flvRecording, error) {
	sent := false
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		if asked != nil && !sent {
			sent = true
			close(asked)
		}
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, url, nil)
	if err != nil {
		return flvRecording{}, err
	}
	req.Header.Set("Origin", "http://player.example")
	res, err := viewerClient.Do(req)
	if err != nil {
		return flvRecording{}, fmt.Errorf("open stream: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	rec := flvRecording{status: res.StatusCode, header: res.Header}
	var body bytes.Buffer
	_, err = io.Copy(&body, res.Body)
	rec.body, rec.ended = body.Bytes(), err == nil
	switch {
	case res.StatusCode != http.StatusOK:
		return rec, fmt.Errorf("FLV: status %d: %s", res.StatusCode, tail(body.String(), 200))
	case err != nil && ctx.Err() == nil:
		return rec, fmt.Errorf("read FLV: %w", err)
	}
	rec.checkHeader(contentType)
	return rec, nil
}

func (rec *flvRecording) checkHeader(contentType string) {
	for key, want := range map[string]string{
		"Content-Type":      contentType,
		"Cache-Control":     "no-store",
		"X-Accel-Buffering": "no",
	} {
		if got := rec.header.Get(key); got != want {
			rec.faults = append(rec.faults, fmt.Sprintf("%s is %q, not %q", key, got, want))
		}
	}
	if rec.header.Get("Access-Control-Allow-Origin") == "" {
		rec.faults = append(rec.faults, "no Access-Control-Allow-Origin")
	}
}

// Types of FLV tags (Adobe FLV 10.1, E.4.1).
const (
	tagAudio  = 8
	tagVideo  = 9
	tagScript = 18
)

// flvTag is one tag of an FLV file.
type flvTag struct {
	kind int
	time uint32 // ms
	body []byte
}

// config reports whether the tag is a decoder configuration.
func (t flvTag) config() bool {
	return (t.kind == tagAudio || t.kind == tagVideo) && len(t.body) > 1 && t.body[1] == 0
}

// coded reports whether the tag is a coded frame.
func (t flvTag) coded() bool {
	return (t.kind == tagAudio || t.kind == tagVideo) && len(t.body) > 1 && t.body[1] == 1
}

// composition is the composition time of a video frame: 24 bits with a sign.
func (t flvTag) composition() time.Duration {
	ms := int32(uint32(t.body[2])<<24|uint32(t.body[3])<<16|uint32(t.body[4])<<8) >> 8
	return time.Duration(ms) * time.Millisecond
}

var errFLV = errors.New("not a well-formed FLV file")

// parseFLV is a reader of FLV independent of the server's, strict about all that
// the format demands. It returns the tags and the header's track flags.
//
//	header: "FLV" 01 flags(1) 00000009 | PreviousTagSize0(4) = 0
//	tag:    type(1) size(3) time(3) timeExtended(1) stream(3) = 0 | body(size) | previousTagSize(4) = 11+size
func parseFLV(file []byte) (tags []flvTag, flags byte, err error) {
	if len(file) < 13 || !bytes.HasPrefix(file, []byte("FLV\x01")) {
		return nil, 0, fmt.Errorf("%w: no header in %d bytes", errFLV, len(file))
	}
	flags = file[4]
	if !bytes.Equal(file[5:13], []byte{0, 0, 0, 9, 0, 0, 0, 0}) {
		return nil, 0, fmt.Errorf("%w: header ends with % x", errFLV, file[5:13])
	}
	for at := 13; at < len(file); {
		rest := file[at:]
		if len(rest) < 11 {
			return tags, flags, fmt.Errorf("%w: %d bytes of a tag header at the end", errFLV, len(rest))
		}
		size := int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3])
		if len(rest) < 11+size+4 {
			return tags, flags, fmt.Errorf("%w: the last tag of %d bytes is cut", errFLV, size)
		}
		if got := binary.BigEndian.Uint32(rest[11+size:]); got != uint32(11+size) {
			return tags, flags, fmt.Errorf("%w: PreviousTagSize %d after a tag of %d bytes", errFLV, got, 11+size)
		}
		if !bytes.Equal(rest[8:11], []byte{0, 0, 0}) {
			return tags, flags, fmt.Errorf("%w: stream id % x", errFLV, rest[8:11])
		}
		tags = append(tags, flvTag{
			kind: int(rest[0]),
			time: uint32(rest[7])<<24 | uint32(rest[4])<<16 | uint32(rest[5])<<8 | uint32(rest[6]),
			body: rest[11 : 11+size],
		})
		at += 11 + size + 4
	}
	return tags, flags, nil
}

// eachTag calls take for each tag of an FLV stream as it comes, until its end, which is nil.
func eachTag(stream io.Reader, take func(flvTag) error) error {
	in := bufio.NewReaderSize(stream, 256<<10)
	if _, err := in.Discard(13); err != nil {
		return err
	}
	for {
		var head [11]byte
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		body := make([]byte, int(head[1])<<16|int(head[2])<<8|int(head[3])+4)
		if _, err := io.ReadFull(in, body); err != nil {
			return fmt.Errorf("in a tag: %w", io.ErrUnexpectedEOF)
		}
		at := uint32(head[7])<<24 | uint32(head[4])<<16 | uint32(head[5])<<8 | uint32(head[6])
		if err := take(flvTag{int(head[0]), at, body[:len(body)-4]}); err != nil {
			return err
		}
	}
}

// interleave is how far the tracks may be out of order against each other. A
// publisher may cut a large picture into chunks and send sound in between, which
// then arrives first although it is later. Within a track nothing goes back.
const interleave = 100 * time.Millisecond

// checkFLV lists what is wrong with a viewer's stream by the rules of HTTP-FLV:
// what it begins with, and that its times never go back.
func checkFLV(file []byte, wantVideo, wantAudio bool) []string {
	tags, flags, err := parseFLV(file)
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	var want byte
	if wantVideo {
		want |= 1
	}
	if wantAudio {
		want |= 4
	}
	if flags != want {
		faults = append(faults, fmt.Sprintf("header flags are %#02x, not %#02x", flags, want))
	}
	switch {
	case len(tags) == 0 || tags[0].kind != tagScript:
		faults = append(faults, "the first tag is not onMetaData")
	case bytes.Contains(tags[0].body, []byte("duration")):
		faults = append(faults, "the metadata of a live stream names a duration")
	}
	configured := map[int]bool{}
	last := map[int]uint32{} // the time of each type's last tag
	for i, tag := range tags {
		if len(faults) >= maxFaults {
			return append(faults, "…")
		}
		for kind, before := range last {
			slack := interleave
			if kind == tag.kind || kind == tagScript {
				slack = 0
			}
			if milli(before)-milli(tag.time) > slack {
				faults = append(faults, fmt.Sprintf("tag %d: time goes back from %v to %v", i, milli(before), milli(tag.time)))
			}
		}
		last[tag.kind] = tag.time
		if tag.config() {
			configured[tag.kind] = true
		}
		if tag.coded() && !configured[tag.kind] {
			faults = append(faults, fmt.Sprintf("tag %d: a frame of type %d before its sequence header", i, tag.kind))
			configured[tag.kind] = true
		}
	}
	return faults
}

func milli(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }
