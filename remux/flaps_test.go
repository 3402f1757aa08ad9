package remux

import (
	"errors"
	"testing"
	"time"
)

// takeover publishes again with the same credential, after some time in which the one before
// went on sending every 100 ms.
func (s *session) takeover(after time.Duration, alive bool) error {
	for end := s.now.Add(after); s.now.Before(end); {
		s.now = s.now.Add(100 * time.Millisecond)
		if alive {
			s.write(8, 0, nil)
		}
	}
	pub, err := s.hub.Publish("live/test", Publisher{Credential: "a"})
	if err == nil {
		s.pub = pub
	}
	return err
}

func TestTwoPublishersThatFightAreSlowed(t *testing.T) {
	s := newSession(t)
	taken, refused := 0, 0
	for range 150 { // five minutes of an encoder that comes every two seconds
		switch err := s.takeover(2*time.Second, true); {
		case err == nil:
			taken++
		case errors.Is(err, ErrFlapping):
			refused++
		default:
			t.Fatal(err)
		}
	}
	// Ten in 20 s, then half a minute of peace: six such rounds.
	if taken < 50 || taken > 70 || taken+refused != 150 {
		t.Errorf("%d takeovers and %d refusals", taken, refused)
	}
	if errors.Is(s.pub.Write(Message{Type: 8}), ErrFenced) {
		t.Error("who has the stream was fenced by one that was refused")
	}
	if got := s.hub.Totals().Ended[EndTakenOver]; got != uint64(taken) {
		t.Errorf("%d publications ended by takeover, want %d", got, taken)
	}
}

func TestAReconnectingPublisherIsNeverSlowed(t *testing.T) {
	for name, test := range map[string]struct {
		every time.Duration
		alive bool
	}{
		"five times a minute, the connection before still sends": {12 * time.Second, true},
		"ten times a minute": {6 * time.Second, true},
		"every three seconds, the connection before is dead": {3 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t)
			for i := range 100 {
				if err := s.takeover(test.every, test.alive); err != nil {
					t.Fatalf("takeover %d: %v", i, err)
				}
			}
		})
	}
}

func TestTheTakeoverLimitIsASetting(t *testing.T) {
	for limit, want := range map[int]int{-1: 200, 0: 10, 1: 1, 3: 3} {
		hub := NewHub(Config{Grace: time.Hour, MaxTakeovers: limit, Now: func() time.Time { return time.Unix(1e9, 0) }})
		taken := -1 // the first takes nothing
		for range 201 {
			if _, err := hub.Publish("live/test", Publisher{}); err == nil {
				taken++
			}
		}
		if taken != want {
			t.Errorf("limit %d: %d takeovers in a moment, want %d", limit, taken, want)
		}
		hub.Close()
	}
}
