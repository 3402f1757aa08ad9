package hls

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// sampleFLV was made by ffmpeg 5.1: 192x108, 25 fps, 2 B-frames, an IDR every second,
// AAC of 44.1 kHz; 3 s.
const sampleFLV = "../remux/mpegts/testdata/h264-aac.flv"

// readMessages reads the tags of an FLV file (annex E.4.1).
func readMessages(t *testing.T, name string) []remux.Message {
	t.Helper()
	flv, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []remux.Message
	for b := flv[flvtag.FileHeaderSize:]; len(b) >= flvtag.HeaderSize; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		list = append(list, remux.Message{
			Type:      flvtag.Type(b[0]),
			Timestamp: uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]),
			Payload:   b[flvtag.HeaderSize : flvtag.HeaderSize+size],
		})
		b = b[flvtag.HeaderSize+size+flvtag.TrailerSize:]
	}
	return list
}

// unitOf returns what the referee should find of a message; false if it is no frame.
func unitOf(m remux.Message) (hlscheck.AccessUnit, bool) {
	switch {
	case m.Type == flvtag.Audio && m.Payload[1] == 1:
		return hlscheck.AccessUnit{Kind: hlscheck.Audio, Sum: hlscheck.AudioSum(m.Payload[2:])}, true
	case m.Type == flvtag.Video && m.Payload[1] == 1:
		var nalus [][]byte
		for b := m.Payload[5:]; len(b) >= 4; {
			n := binary.BigEndian.Uint32(b)
			nalus = append(nalus, b[4:4+n])
			b = b[4+n:]
		}
		sum, _ := hlscheck.VideoSum(nalus)
		return hlscheck.AccessUnit{Kind: hlscheck.Video, Sum: sum}, true
	}
	return hlscheck.AccessUnit{}, false
}

// loop publishes a file n times over, its clock running on from a timestamp.
func (s *stage) loop(hub *remux.Hub, messages []remux.Message, n int, from uint32) *remux.Publication {
	s.t.Helper()
	s.mark(hlscheck.PublisherBack)
	p, err := hub.Publish(testName, remux.Publisher{Credential: "a"})
	if err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	for i := range n {
		for _, m := range messages {
			if i > 0 && m.Type != flvtag.Script && m.Timestamp == 0 && m.Payload[1] == 0 {
				continue // the configurations came already
			}
			at := m.Timestamp + uint32(i*3_000)
			s.until(began.Add(time.Duration(at) * time.Millisecond))
			m.Timestamp = from + at
			if u, ok := unitOf(m); ok {
				s.sent = append(s.sent, u)
			}
			if err := p.Write(m); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return p
}

func TestWhatFFmpegSentComesOutThroughTheHub(t *testing.T) {
	messages := readMessages(t, sampleFLV)
	onStage(t, Config{Grace: 20 * time.Second}, func(s *stage) {
		hub := remux.NewHub(remux.Config{Grace: 20 * time.Second, Sinks: []remux.SinkFactory{s.server}})
		defer hub.Close()
		leave := func(p *remux.Publication) {
			p.End(remux.EndUnpublished)
			s.mark(hlscheck.PublisherLeft)
		}
		p := s.loop(hub, messages, 5, 1<<32-5_000) // the clock wraps after 5 s
		leave(p)
		s.accounts(s.report())

		s.pass(10 * time.Second)
		p = s.loop(hub, messages, 5, 77_000_000)
		leave(p)
		r := s.report()
		s.accounts(r)
		breaks := 0
		for _, seg := range r.Segments {
			if seg.Discontinuity {
				breaks++
			}
		}
		if breaks != 1 {
			t.Errorf("%d discontinuities, want that of the second publication", breaks)
		}

		s.pass(25 * time.Second)
		ended := s.lastMedia()
		if !strings.HasSuffix(string(ended.Body), "#EXT-X-ENDLIST\n") {
			t.Errorf("after the grace:\n%s", ended.Body)
		}
		p = s.loop(hub, messages, 2, 0)
		leave(p)
		s.report()
		if s.lastMedia().URL == ended.URL {
			t.Error("an ended playlist went on")
		}
	})
}
