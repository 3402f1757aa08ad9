package ts

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/asticode/go-astits"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/mpegts"
)

// announced are the tracks that the last PMT of a stream announces, by an independent demuxer.
func announced(t *testing.T, stream []byte) (tracks remux.Tracks) {
	t.Helper()
	demuxer := astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(mpegts.PacketSize))
	for {
		d, err := demuxer.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return tracks
		}
		if err != nil {
			t.Fatal(err)
		}
		if d.PMT == nil {
			continue
		}
		tracks = remux.Tracks{}
		for _, s := range d.PMT.ElementaryStreams {
			tracks.Video = tracks.Video || s.StreamType == astits.StreamTypeH264Video
			tracks.Audio = tracks.Audio || s.StreamType == astits.StreamTypeAACAudio
		}
	}
}

func TestTheTablesNameNoTrackOfAnEarlierPublication(t *testing.T) {
	both := remux.Tracks{Video: true, Audio: true}
	for _, next := range []remux.Tracks{{Video: true}, {Audio: true}} {
		f := newFeed(t, both)
		_, stays, _ := f.log.Join(nil, 0)
		for i := range 60 {
			f.picture(i%50 == 0, both)
		}
		f.log.End()
		r := newReceiver()
		first := read(&stays)
		r.take(t, first)
		if got := announced(t, first); got != both {
			t.Fatalf("the first publication announces %+v", got)
		}

		f.begin(next)
		for i := range 60 {
			f.picture(i%50 == 0, next)
		}
		_, joins, _ := f.log.Join(nil, 0)
		stream := read(&stays)
		r.take(t, stream)
		if got := announced(t, stream); got != next {
			t.Errorf("who stays is announced %+v, not %+v", got, next)
		}
		stream = read(&joins)
		newReceiver().take(t, stream)
		if got := announced(t, stream); got != next {
			t.Errorf("who joins is announced %+v, not %+v", got, next)
		}

		// The other track comes after all, configured as it was.
		if next.Video {
			f.log.Write(&remux.Packet{Kind: remux.AudioConfig, Codec: flvtag.AAC, DTS: f.dts, Payload: aacRecord})
		} else {
			f.log.Write(&remux.Packet{Kind: remux.VideoConfig, Codec: flvtag.H264, DTS: f.dts, Payload: avcRecord})
		}
		for i := range 60 {
			f.picture(i%50 == 0, both)
		}
		f.log.End()
		stream = read(&stays)
		r.take(t, stream)
		if got := announced(t, stream); got != both {
			t.Errorf("then who stays is announced %+v", got)
		}
		if n := units(t, stream); n[0x100] == 0 || n[0x101] == 0 {
			t.Errorf("then who stays is sent units %v", n)
		}
	}
}

func TestSoundOfAnotherCodecIsNotTakenForAnEarlierPublications(t *testing.T) {
	both := remux.Tracks{Video: true, Audio: true}
	f := newFeed(t, both)
	_, at, _ := f.log.Join(nil, 0)
	f.picture(true, both)
	f.log.End()
	read(&at)
	f.log.Begin(both)
	f.log.Write(&remux.Packet{Kind: remux.VideoConfig, Codec: flvtag.H264, DTS: f.dts, Payload: avcRecord})
	for i := range 60 {
		f.log.Write(&remux.Packet{Kind: remux.AudioFrame, Codec: flvtag.ALaw, DTS: f.dts, Payload: bytes.Repeat([]byte{7}, 170)})
		f.picture(i%50 == 0, remux.Tracks{Video: true})
	}
	f.log.End()
	stream := read(&at)
	if n := units(t, stream); n[0x100] != 60 || n[0x101] != 0 {
		t.Errorf("units %v, want 60 pictures and no sound", n)
	}
	if got := announced(t, stream); got.Audio {
		t.Error("the sound is announced")
	}
}
