package hls

import (
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// breaksAt returns the media times, in seconds, of the first frames after each
// EXT-X-DISCONTINUITY.
func breaksAt(r hlscheck.Report) []float64 {
	var list []float64
	for _, s := range r.Segments {
		if s.Discontinuity {
			list = append(list, float64(s.FirstDTS)/90_000-0.5)
		}
	}
	return list
}

func equal(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if d := a[i] - b[i]; d > 0.001 || d < -0.001 {
			return false
		}
	}
	return true
}

func TestANewVideoConfigurationBeginsADiscontinuityAtItsKeyframe(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 10_400)
		e.sets = sets256
		s.sink.Write(videoConfigPacket(e.sets, 10_400))
		s.send(e.frames(10_400, 20_000))
		s.leave()
		r := s.report()
		s.accounts(r)
		if got := breaksAt(r); !equal(got, []float64{10.4}) {
			t.Errorf("discontinuities at %v s, want one at 10.4: %s", got, durations(r))
		}
		last := string(s.history.Multivariant[len(s.history.Multivariant)-1].Body)
		if !strings.Contains(last, "RESOLUTION=256x144") || !strings.Contains(last, "avc1.64000c") {
			t.Error(last)
		}
	})
}

func TestARepeatedConfigurationChangesNothing(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 6_000)
		for _, pkt := range e.configs(6_000) {
			s.sink.Write(pkt)
		}
		s.send(e.frames(6_000, 12_000))
		s.leave()
		r := s.report()
		s.accounts(r)
		if got := breaksAt(r); len(got) != 0 {
			t.Errorf("discontinuities at %v s", got)
		}
	})
}

func TestANewAudioConfigurationWaitsForTheKeyframe(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(50)
		s.publish(e, 0, 10_000)
		all := e.frames(10_000, 20_000)
		for i, f := range all {
			if f.pkt.Kind == remux.AudioFrame && f.pkt.DTS >= 11_000 {
				s.send(all[:i])
				s.sink.Write(audioConfigPacket(aac44100, f.pkt.DTS))
				s.send(all[i:])
				break
			}
		}
		s.leave()
		r := s.report()
		if got := breaksAt(r); !equal(got, []float64{12}) {
			t.Errorf("discontinuities at %v s, want one at 12: %s", got, durations(r))
		}
		// The sound between the change and the keyframe has no segment to go to, but
		// for the half second before the keyframe.
		lost := len(sums(s.sent, hlscheck.Audio)) - len(sums(r.AccessUnits, hlscheck.Audio))
		if left := s.server.Metrics().FramesLeftOut.Load(); left != uint64(lost) || lost < 20 || lost > 26 {
			t.Errorf("%d frames are missing, %d were counted", lost, left)
		}
	})
}

func TestAudioThatComesLateJoinsAtAKeyframe(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		e.asc = nil
		s.publish(e, 0, 7_000)
		e.asc = aac48000
		s.sink.Write(audioConfigPacket(e.asc, 7_000))
		s.send(e.frames(7_000, 15_000))
		s.leave()
		r := s.report()
		s.accounts(r)
		if got := breaksAt(r); !equal(got, []float64{7}) {
			t.Errorf("discontinuities at %v s, want one at 7: %s", got, durations(r))
		}
	})
}

func TestVideoThatComesLateJoinsAtItsKeyframe(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := &encoder{asc: aac48000, size: 400, sets: sets320}
		s.publish(e, 0, 7_300)
		e.frame, e.key = 40, every(50)
		s.sink.Write(videoConfigPacket(e.sets, 7_300))
		s.send(e.frames(7_300, 15_000))
		s.leave()
		r := s.report()
		s.accounts(r)
		if got := breaksAt(r); !equal(got, []float64{7.3}) {
			t.Errorf("discontinuities at %v s, want one at 7.3: %s", got, durations(r))
		}
	})
}

func TestSoundDoesNotWaitForACameraThatIsOff(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		e.skip = func(dts int64, video bool) bool { return video && dts < 9_000 }
		s.publish(e, 0, 20_000)
		s.leave()
		r := s.report("segment-late")
		s.accounts(r)
		if got := breaksAt(r); !equal(got, []float64{9}) {
			t.Errorf("discontinuities at %v s, want one at 9: %s", got, durations(r))
		}
		if got := len(sums(r.AccessUnits, hlscheck.Audio)); got != 938 {
			t.Errorf("%d audio frames, want 938", got)
		}
	})
}

func TestVideoThatMPEGTSCannotHoldLeavesTheSound(t *testing.T) {
	for _, codec := range []flvtag.Codec{flvtag.HEVC, flvtag.AV1} {
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.sink = s.server.NewSink(testName)
			s.sink.Begin(e.tracks())
			s.began = time.Now()
			s.sink.Write(audioConfigPacket(e.asc, 0))
			if codec == flvtag.HEVC { // with or without a configuration
				s.sink.Write(&remux.Packet{Kind: remux.VideoConfig, Codec: codec, Payload: []byte{1, 2, 3}})
			}
			all := e.frames(0, 12_000)
			for _, f := range all {
				f.pkt.Codec = map[remux.Kind]flvtag.Codec{remux.VideoFrame: codec, remux.AudioFrame: flvtag.AAC}[f.pkt.Kind]
			}
			s.send(all)
			s.leave()
			r := s.report()
			if got := len(sums(r.AccessUnits, hlscheck.Audio)); got != 563 {
				t.Errorf("%d audio frames, want 563", got)
			}
		})
	}
}

func TestAJumpOfThePublishersClockBreaksAtTheNextKeyframe(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 8_000)
		s.mark(hlscheck.PublisherLeft) // so that the referee expects something
		s.mark(hlscheck.PublisherBack)
		all := e.frames(8_000, 16_000)
		for _, f := range all {
			if f.pkt.Kind == remux.VideoFrame && f.pkt.DTS >= 8_200 {
				f.pkt.Discontinuity = true
				break
			}
		}
		s.send(all)
		s.leave()
		r := s.report()
		s.accounts(r)
		if got := breaksAt(r); !equal(got, []float64{9}) {
			t.Errorf("discontinuities at %v s, want one at 9: %s", got, durations(r))
		}
	})
}

func TestAPublisherThatComesBackContinuesThePlaylist(t *testing.T) {
	onStage(t, Config{Grace: time.Minute}, func(s *stage) {
		e := at25(25)
		s.publish(e, 0, 9_500)
		s.leave()
		s.pass(20 * time.Second)
		s.publish(e, 9_533, 20_000)
		s.leave()
		r := s.report()
		s.accounts(r)
		if got := breaksAt(r); !equal(got, []float64{9.533}) {
			t.Errorf("discontinuities at %v s, want one at 9.533: %s", got, durations(r))
		}
		s.publish(e, 20_100, 60_000)
		s.leave()
		r = s.report()
		s.accounts(r)
		last := string(s.history.Media[len(s.history.Media)-1].Body)
		if !strings.Contains(last, "#EXT-X-DISCONTINUITY-SEQUENCE:2\n") {
			t.Error(last)
		}
	})
}

func TestAPublicationOfLessThanASecondIsNotLost(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 300)
		s.leave()
		s.accounts(s.report("bandwidth-overstated"))
		s.publish(&encoder{asc: aac48000}, 400, 500)
		s.leave()
		s.accounts(s.report("bandwidth-overstated"))
	})
}

func TestAStreamThatIsClosedEndsAndGoesInItsTime(t *testing.T) {
	onStage(t, Config{Grace: time.Minute}, func(s *stage) {
		s.publish(at25(25), 0, 30_000)
		s.leave()
		s.mark(hlscheck.StreamEnded)
		s.sink.Close()
		s.report()
		media := s.history.Media[len(s.history.Media)-1]
		if !strings.HasSuffix(string(media.Body), "\n#EXT-X-ENDLIST\n") {
			t.Errorf("no ENDLIST in\n%s", media.Body)
		}
		// A viewer at the head of the window may fetch all of it, in its time.
		s.pass(12 * time.Second)
		for _, uri := range uris(string(media.Body)) {
			if w := s.get(strings.TrimSuffix(media.URL, "media.m3u8") + uri); w.Code != 200 {
				t.Errorf("%s: %d, 12 s after the end", uri, w.Code)
			}
		}
		s.pass(time.Minute)
		if w := s.get(media.URL); w.Code != 404 {
			t.Errorf("the playlist of a stream that is long over: %d", w.Code)
		}
		if blobs, err := s.store.List("."); err != nil || len(blobs) > 0 {
			t.Errorf("left in storage: %v, %v", blobs, err)
		}
	})
}

func TestTheNextStreamOfANameGoesOnCounting(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 10_000)
		s.leave()
		s.mark(hlscheck.StreamEnded)
		s.sink.Close()
		s.look()
		before := s.history.Media[len(s.history.Media)-1].URL
		s.sink = nil
		s.publish(at25(25), 0, 10_000)
		s.leave()
		r := s.report()
		after := s.history.Media[len(s.history.Media)-1]
		if after.URL == before {
			t.Error("the old playlist's URL came back")
		}
		var first int64 = -1
		for _, seg := range r.Segments {
			if seg.Playlist == after.URL && first < 0 {
				first = seg.Sequence
			}
		}
		if first != 6 {
			t.Errorf("the new stream begins with sequence %d, want 6", first)
		}
	})
}

func TestASystemClockThatIsSetMovesNothing(t *testing.T) {
	for _, step := range []time.Duration{25 * time.Hour, -25 * time.Hour} {
		var offset time.Duration
		config := Config{Now: func() time.Time { return time.Now().Add(offset) }}
		onStage(t, config, func(s *stage) {
			e := at25(25)
			s.publish(e, 0, 9_000)
			offset = step
			s.send(e.frames(9_000, 20_000))
			s.leave()
			s.accounts(s.report("date-not-now"))
			s.publish(e, 20_040, 30_000)
			s.leave()
			s.accounts(s.report("date-not-now"))
		})
	}
}
