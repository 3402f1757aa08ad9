package rtmp

import (
	"net"
	"testing"
	"time"
)

// second is what begins a second publication, on message stream 2.
func second() []byte {
	return join(appendCommand(nil, csidCommand, 0, defaultChunkSize, "createStream", 4.0, nil),
		appendCommand(nil, csidCommand, 2, defaultChunkSize, "publish", 5.0, nil, "other"))
}

func audioOn(stream uint32, timestamp uint32) []byte {
	return AppendMessage(nil, ChunkStreamAudio, TypeAudio, stream, timestamp, defaultChunkSize, []byte("a1"))
}

// TestOfTwoPublicationsTheSilentOneEnds, the other goes on, gets nothing that still comes for the first, and that can
// begin again.
func TestOfTwoPublicationsTheSilentOneEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, client net.Conn, s *served) {
		drainInto(client)
		_, _ = client.Write(join(publishing(), second(), audioOn(1, 0)))
		s.expect(t, `media 8 on 1 at 0: "a1"`)
		start := time.Now()
		var ended Event
		for ended == nil && time.Since(start) < time.Minute {
			time.Sleep(time.Second)
			_, _ = client.Write(audioOn(2, 0))
			if ev := s.event(t); describe(ev) != `media 8 on 2 at 0: "a1"` {
				ended = ev
				s.expect(t, `media 8 on 2 at 0: "a1"`)
			}
		}
		if after := time.Since(start); ended == nil || describe(ended) != "unpublish 1 "+ReasonMediaTimeout || after < 15*time.Second || after > 18*time.Second {
			t.Fatalf("after %v: %v", after, ended)
		}
		_, _ = client.Write(join(audioOn(1, 1), audioOn(2, 2)))
		s.expect(t, `media 8 on 2 at 2: "a1"`)
		_, _ = client.Write(join(appendCommand(nil, csidCommand, 1, defaultChunkSize, "publish", 6.0, nil, "test"), audioOn(1, 3)))
		s.expect(t, `media 8 on 1 at 3: "a1"`)
		<-s.done // neither sends anything from now on
		s.expect(t, "unpublish 1 "+ReasonPeerGone, "unpublish 2 "+ReasonPeerGone)
	})
}

// TestWhatElseAPublisherBeginsDoesNotHideItsSilence: it plays and stops playing all the time, or publishes something else.
func TestWhatElseAPublisherBeginsDoesNotHideItsSilence(t *testing.T) {
	for name, c := range map[string]struct {
		begin, end string
		media      []byte
	}{
		"plays":                   {"play", "closeStream", nil},
		"plays one after another": {"play", "createStream", nil},
		"publishes":               {"publish", "closeStream", audioOn(2, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, client net.Conn, s *served) {
				drainInto(client)
				_, _ = client.Write(join(publishing(), appendCommand(nil, csidCommand, 0, defaultChunkSize, "createStream", 4.0, nil)))
				start := time.Now()
				for time.Since(start) < time.Minute {
					time.Sleep(time.Second)
					_, _ = client.Write(join(appendCommand(nil, csidCommand, 2, defaultChunkSize, c.begin, 0.0, nil, "other"), c.media,
						appendCommand(nil, csidCommand, 2, defaultChunkSize, c.end, 0.0, nil))) // the server may have closed
					for len(s.events) > 0 {
						if ev, ok := (<-s.events).(*Unpublish); ok && ev.StreamID == 1 {
							if after := time.Since(start); Reason(ev.Cause) != ReasonMediaTimeout || after < 15*time.Second || after > 18*time.Second {
								t.Errorf("ended after %v: %v", after, ev.Cause)
							}
							return
						}
					}
				}
				t.Error("it has not ended")
			})
		})
	}
}
