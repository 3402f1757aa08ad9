package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// The bodies are the shortest that say what they are.
func video(at uint32) fileTag { return fileTag{flvtag.Video, at, []byte{0x27, 1, 0, 0, 0, 1}} }
func audio(at uint32) fileTag { return fileTag{flvtag.Audio, at, []byte{0xaf, 1, 1}} }
func videoConfig(at uint32) fileTag {
	return fileTag{flvtag.Video, at, []byte{0x17, 0, 0, 0, 0, 1}}
}
func endOfSequence(at uint32) fileTag { return fileTag{flvtag.Video, at, []byte{0x17, 2, 0, 0, 0}} }
func metadata(at uint32) fileTag {
	return fileTag{flvtag.Script, at, []byte("\x02\x00\x0aonMetaData\x05")}
}

func TestTheFileClockGoesOn(t *testing.T) {
	rewind := fileTag{}
	for _, test := range []struct {
		name string
		tags []fileTag
		want []int64
	}{
		{"from any start", []fileTag{video(5000), audio(5010), video(5040)}, []int64{0, 10, 40}},
		{"tracks a little apart", []fileTag{video(100), audio(80), video(140), audio(101)}, []int64{0, -20, 40, 1}},
		{"configuration that stands at 0", []fileTag{metadata(0), videoConfig(0), video(7000), video(7040), metadata(0)}, []int64{0, 0, 0, 40, 40}},
		{"across 2^24", []fileTag{video(1<<24 - 20), video(1<<24 + 20)}, []int64{0, 40}},
		{"across 2^32", []fileTag{video(1<<32 - 20), video(20), video(60)}, []int64{0, 40, 80}},
		{"round by round", []fileTag{video(0), video(33), audio(50), rewind, videoConfig(0), video(0), video(33), rewind, video(0)},
			[]int64{0, 33, 50, 50, 83, 116, 149}},
		{"round by round with sound alone", []fileTag{audio(10), audio(33), rewind, audio(10), audio(33)}, []int64{0, 23, 46, 69}},
		{"round by round with one frame", []fileTag{video(9), rewind, video(9), rewind, video(9)}, []int64{0, 40, 80}},
		{"without gaps", []fileTag{video(0), video(40), video(60_000), video(60_040)}, []int64{0, 40, 80, 120}},
		{"with pauses", []fileTag{video(0), video(40), video(5040)}, []int64{0, 40, 5040}},
		{"when the recorder began anew", []fileTag{video(60_000), video(60_040), video(0), video(40)}, []int64{0, 40, 80, 120}},
	} {
		c := newFileClock()
		var got []int64
		for _, tag := range test.tags {
			if tag.kind == 0 {
				c.rewind()
				continue
			}
			got = append(got, c.at(tag))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestThePacerKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		began := time.Now()
		wait := func(at int64, want time.Duration) {
			t.Helper()
			if err := p.wait(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); got != want {
				t.Errorf("time %d came after %v, want %v", at, got, want)
			}
		}
		wait(1000, 0) // the first is at once
		wait(1040, 40*time.Millisecond)
		wait(1020, 40*time.Millisecond)
		time.Sleep(time.Second) // a slow write does not shift what comes after it
		wait(2000, 1040*time.Millisecond)
		wait(2500, 1500*time.Millisecond)
		time.Sleep(time.Minute) // a long standstill does
		wait(2540, 61500*time.Millisecond)
		wait(2580, 61540*time.Millisecond)

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		if err := p.wait(ctx, 100_000); err == nil || err.Error() != "enough" {
			t.Errorf("the end of the context: %v", err)
		}
		if err := p.wait(ctx, 0); err == nil {
			t.Error("a time that has passed hides that the context has ended")
		}
	})
}
