package remux

import "testing"

// placed is one packet of a case: what comes in and what must come out.
type placed struct {
	track  Track
	in     uint32
	want   int64
	repair Repair
}

func TestTimeline(t *testing.T) {
	const wrap = 1 << 32
	for _, test := range []struct {
		name    string
		packets []placed
	}{
		{"keeps an encoder's timestamps", []placed{
			{Audio, 57, 57, Intact}, {Video, 0, 0, Intact}, {Audio, 80, 80, Intact}, {Video, 40, 40, Intact},
		}},
		{"crosses 2^24 without notice", []placed{
			{Video, 1<<24 - 40, 1<<24 - 40, Intact}, {Video, 1 << 24, 1 << 24, Intact}, {Video, 1<<24 + 40, 1<<24 + 40, Intact},
		}},
		{"crosses 2^32 without notice, rebased below the signed range", []placed{
			{Video, wrap - 40, 1000, Intact}, {Audio, wrap - 30, 1010, Intact},
			{Video, 0, 1040, Intact}, {Audio, 10, 1050, Intact}, {Video, 40, 1080, Intact},
		}},
		{"crosses 2^31 without notice", []placed{
			{Video, 1<<31 - 40, 1<<31 - 40, Intact}, {Video, 1 << 31, 1 << 31, Intact},
		}},
		{"a small step back is clamped until the clock has caught up", []placed{
			{Video, 1000, 1000, Intact}, {Video, 1040, 1040, Intact}, {Video, 1010, 1041, Clamped},
			{Video, 1030, 1042, Clamped}, {Video, 1080, 1080, Intact},
		}},
		{"an equal timestamp is clamped", []placed{
			{Audio, 0, 0, Intact}, {Audio, 0, 1, Clamped}, {Audio, 23, 23, Intact},
		}},
		{"a gap below ten seconds is believed", []placed{
			{Video, 0, 0, Intact}, {Video, 9_900, 9_900, Intact},
		}},
		{"a track that jumps alone is put back beside the other", []placed{
			{Video, 0, 0, Intact}, {Audio, 10, 10, Intact}, {Video, 40, 40, Intact}, {Audio, 33, 33, Intact},
			{Audio, 3_600_000, 56, Realigned}, {Video, 80, 80, Intact}, {Audio, 3_600_023, 79, Intact},
		}},
		{"a track that jumps back alone is put back beside the other", []placed{
			{Video, 50_000, 50_000, Intact}, {Audio, 50_010, 50_010, Intact}, {Video, 50_040, 50_040, Intact},
			{Audio, 5, 50_043, Realigned}, {Audio, 28, 50_066, Intact}, {Video, 50_080, 50_080, Intact},
		}},
		{"tracks with unrelated clocks are brought together at the start", []placed{
			{Video, 0, 0, Intact}, {Audio, 7_000_000, 33, Realigned}, {Audio, 7_000_023, 56, Intact}, {Video, 40, 40, Intact},
		}},
		{"a late track that fits the clock is taken as it comes", []placed{
			{Audio, 0, 0, Intact}, {Audio, 5_000, 5_000, Intact}, {Video, 5_010, 5_010, Intact},
		}},
		{"a track that paused while the other went on is no jump", []placed{
			{Video, 0, 0, Intact}, {Audio, 0, 0, Intact}, {Video, 8_000, 8_000, Intact}, {Video, 16_000, 16_000, Intact},
			{Audio, 16_010, 16_010, Intact},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var timeline Timeline
			for i, p := range test.packets {
				got, repair := timeline.Place(p.track, p.in)
				if got != p.want || repair != p.repair {
					t.Fatalf("packet %d: track %d at %d: got %d, repair %d; want %d, repair %d",
						i, p.track, p.in, got, repair, p.want, p.repair)
				}
			}
		})
	}
}

func TestRebaseKeepsBothTracksTogether(t *testing.T) {
	var timeline Timeline
	timeline.Place(Video, 1000)
	timeline.Place(Audio, 1010)
	timeline.Place(Video, 1040)
	if !timeline.Jumps(Video, 9_000_000) || timeline.Alone(Video) {
		t.Fatal("the jump was not seen")
	}
	timeline.Rebase(Video, 9_000_000, 8_999_990)
	video, repair := timeline.Place(Video, 9_000_000)
	if repair != Jumped {
		t.Errorf("first packet after the jump: repair %d, want Jumped", repair)
	}
	audio, repair := timeline.Place(Audio, 8_999_990)
	if repair != Intact || video-audio != 10 || audio <= 1040 {
		t.Errorf("video at %d, audio at %d, repair %d: want audio 10 ms before video, after 1040", video, audio, repair)
	}
}

func TestTheNextPublicationFollowsTheLast(t *testing.T) {
	var timeline Timeline
	timeline.Place(Video, 5_000)
	timeline.Place(Audio, 5_020)
	timeline.Resume()
	video, _ := timeline.Place(Video, 0)
	audio, _ := timeline.Place(Audio, 7)
	if video <= 5_020 || video > 5_020+1_000 || audio != video+7 {
		t.Errorf("second publication: video at %d, audio at %d", video, audio)
	}
}

// FuzzTimeline: whatever comes in, each track is strictly increasing.
func FuzzTimeline(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0xff, 0xff, 0xff, 0xdd, 1, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var timeline Timeline
		last := [numTracks]int64{-1 << 62, -1 << 62}
		for ; len(in) >= 5; in = in[5:] {
			track := Track(in[0] & 1)
			ts := uint32(in[1])<<24 | uint32(in[2])<<16 | uint32(in[3])<<8 | uint32(in[4])
			switch {
			case in[0]&0x80 != 0:
				timeline.Resume()
			case in[0]&0x40 != 0 && timeline.Jumps(track, ts) && timeline.Alone(track):
				timeline.Rebase(track, ts)
			}
			dts, _ := timeline.Place(track, ts)
			if dts <= last[track] {
				t.Fatalf("track %d: %d after %d", track, dts, last[track])
			}
			last[track] = dts
		}
	})
}
