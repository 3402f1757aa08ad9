package ingest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// packetsOf makes a packet of each letter: a keyframe, a recovery point that viewers begin with and one that they do not,
// another picture, a sound, metadata, and configurations of either.
func packetsOf(letters string) []byte {
	format := playFormat{streamID: 1, chunkSize: 128}
	var units []byte
	for i, c := range letters {
		pkt := &remux.Packet{DTS: int64(i) << 20, Payload: []byte(string(c) + strings.Repeat("x", 100*i))}
		switch c {
		case 'K':
			pkt.Kind, pkt.Keyframe = remux.VideoFrame, true
		case 'R', 'r':
			pkt.Kind, pkt.Recovery = remux.VideoFrame, true
		case 'v':
			pkt.Kind = remux.VideoFrame
		case 'a':
			pkt.Kind = remux.AudioFrame
		case 'm':
			pkt.Kind = remux.Metadata
		case 'C':
			pkt.Kind = remux.VideoConfig
		case 'c':
			pkt.Kind = remux.AudioConfig
		}
		before := len(units)
		units = format.Append(units, pkt, c == 'R')
		if size := format.Size(pkt); size < len(units)-before {
			panic(fmt.Sprintf("%c has %d bytes, not at most %d", c, len(units)-before, size))
		}
	}
	return units
}

func TestAPlayerIsSentWhatItWants(t *testing.T) {
	const audio, video = rtmp.TypeAudio, rtmp.TypeVideo
	for _, test := range []struct {
		name string
		wish func(*selection)
		send string
		want string
		then func(*selection)
		next string // what comes after then
		gets string
	}{
		{name: "nothing in particular", send: "mCcKavavKav", want: "mCcKavavKav"},
		{name: "no video, and then it",
			wish: func(s *selection) { s.receive(video, false) }, send: "mCcavavKav", want: "mCcaaa",
			then: func(s *selection) { s.receive(video, true) }, next: "avavCKavav", gets: "aaCKavav"},
		{name: "no video, and then it, where there are recovery points instead of keyframes",
			wish: func(s *selection) { s.receive(video, false) }, send: "avRav", want: "aa",
			then: func(s *selection) { s.receive(video, true) }, next: "avavRavav", gets: "aaRavav"},
		{name: "no audio, and then it",
			wish: func(s *selection) { s.receive(audio, false) }, send: "mCcavavKav", want: "mCcvvKv",
			then: func(s *selection) { s.receive(audio, true) }, next: "avav", gets: "avav"},
		{name: "a pause, to the next keyframe",
			wish: func(s *selection) { s.pause(true) }, send: "mavavKavC", want: "C",
			then: func(s *selection) { s.pause(false) }, next: "avavKavav", gets: "Kavav"},
		{name: "a pause, to the next keyframe, where there are recovery points between",
			wish: func(s *selection) { s.pause(true) }, send: "avav", want: "",
			then: func(s *selection) { s.pause(false) }, next: "avravKavrav", gets: "Kavrav"},
		{name: "a pause in which no picture came",
			wish: func(s *selection) { s.pause(true) }, send: "a", want: "",
			then: func(s *selection) { s.pause(false) }, next: "avavKavav", gets: "avavKavav"},
		{name: "a pause of a stream without video",
			wish: func(s *selection) { s.pause(true) }, send: "aaa", want: "",
			then: func(s *selection) { s.pause(false) }, next: "aaa", gets: "aaa"},
		{name: "a pause of who wants no video",
			wish: func(s *selection) { s.receive(video, false); s.pause(true) }, send: "avKav", want: "",
			then: func(s *selection) { s.pause(false) }, next: "avKav", gets: "aa"},
		{name: "nothing at all, and then video",
			wish: func(s *selection) { s.receive(video, false); s.receive(audio, false) }, send: "CcavKav", want: "Cc",
			then: func(s *selection) { s.receive(video, true) }, next: "avKav", gets: "Kv"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s selection
			steps := []struct {
				wish       func(*selection)
				send, want string
			}{{test.wish, test.send, test.want}, {test.then, test.next, test.gets}}
			for _, step := range steps {
				if step.wish != nil {
					step.wish(&s)
				}
				got := ""
				for rest := packetsOf(step.send); len(rest) > 0; {
					var wanted []byte
					for wanted, rest = s.cut(rest, 128); len(wanted) > 0; {
						_, message, after := rtmp.CutMessage(wanted, 128)
						got += string(bodyOf(message)[:1])
						wanted = after
					}
				}
				if got != step.want {
					t.Errorf("of %q it is sent %q, want %q", step.send, got, step.want)
				}
			}
		})
	}
}

// bodyOf returns what follows the header of a message on a chunk stream of one byte.
func bodyOf(message []byte) []byte {
	if string(message[1:4]) == "\xff\xff\xff" {
		return message[1+11+4:]
	}
	return message[1+11:]
}

func TestAPlayerWithoutWishesCostsNoLook(t *testing.T) {
	var s selection
	units := packetsOf("Kavav")
	wanted, rest := s.cut(units, 128)
	if len(wanted) != len(units) || &wanted[0] != &units[0] || len(rest) != 0 {
		t.Error("it is not sent what was rendered, as it is")
	}
}

// TestRecoveryPointsAmongKeyframesAreNoneForWhoGoesOn has a log render what players are sent.
func TestRecoveryPointsAmongKeyframesAreNoneForWhoGoesOn(t *testing.T) {
	l := bytelog.New(playFormat{streamID: 1, chunkSize: 128}, bytelog.Options{})
	l.Begin(remux.Tracks{Video: true})
	_, at, _ := l.Join(nil, 0)
	keys := func(letters string) (keys string) {
		for i, c := range letters {
			l.Write(&remux.Packet{Kind: remux.VideoFrame, Keyframe: c == 'K', Recovery: c == 'R', DTS: int64(i), Payload: []byte{byte(c)}})
		}
		for units := at.Next(); units != nil; units = at.Next() {
			at.Skip(len(units))
			for len(units) > 0 {
				csid, message, rest := rtmp.CutMessage(units, 128)
				if csid == keyChunks {
					keys += string(bodyOf(message))
				}
				units = rest
			}
		}
		return keys
	}
	for _, test := range []struct{ send, want string }{
		{"KvRvKvRv", "KK"},
		{strings.Repeat("v", remux.MaxGOPPackets), ""}, // keyframes have ceased
		{"vRvRv", "RR"},
		{"KvRvKvRv", "KK"},
	} {
		if got := keys(test.send); got != test.want {
			t.Errorf("of %.20q players go on at %q, want %q", test.send, got, test.want)
		}
	}
}
