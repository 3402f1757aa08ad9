package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func emit(b *Bus, n int) {
	for range n {
		b.Emit(Event{Type: StreamIdle, Stream: "live/test"})
	}
}

// numbers renders events as their numbers, a gap as -n.
func numbers(list []Event) (out []int) {
	for _, e := range list {
		if gap, ok := e.Data.(Gap); ok {
			out = append(out, -int(gap.Events))
			continue
		}
		out = append(out, int(e.ID.Number))
	}
	return out
}

func TestReadersGetEveryEventOnceInOrder(t *testing.T) {
	b := NewBus(16)
	emit(b, 3)
	r := b.Follow(ID{})
	if got := numbers(r.Ready(nil, 2)); !reflect.DeepEqual(got, []int{1, 2}) {
		t.Errorf("got %v", got)
	}
	emit(b, 2)
	if got := numbers(r.Ready(nil, 100)); !reflect.DeepEqual(got, []int{3, 4, 5}) {
		t.Errorf("got %v", got)
	}
	if got := r.Ready(nil, 100); got != nil {
		t.Errorf("got %v twice", got)
	}
}

func TestAReaderResumesBehindTheEventItNames(t *testing.T) {
	b := NewBus(8)
	emit(b, 5)
	id, err := ParseID(ID{Run: b.Last().Run, Number: 3}.String())
	if err != nil {
		t.Fatal(err)
	}
	if got := numbers(b.Follow(id).Ready(nil, 9)); !reflect.DeepEqual(got, []int{4, 5}) {
		t.Errorf("got %v", got)
	}
	// An ID of the future, which nobody was given, must not make the reader wait for it.
	r := b.Follow(ID{Run: id.Run, Number: 1 << 60})
	emit(b, 1)
	if got := numbers(r.Ready(nil, 9)); !reflect.DeepEqual(got, []int{6}) {
		t.Errorf("got %v", got)
	}
}

func TestAReaderIsToldWhatItMissed(t *testing.T) {
	b := NewBus(4)
	emit(b, 1)
	r := b.Follow(b.Last())
	emit(b, 10)
	if got := numbers(r.Ready(nil, 9)); !reflect.DeepEqual(got, []int{-6, 8, 9, 10, 11}) {
		t.Errorf("got %v", got)
	}
	// The ID of the gap resumes behind it.
	gap := b.Follow(ID{Run: b.Last().Run, Number: 1}).Ready(nil, 1)
	if got := numbers(b.Follow(gap[0].ID).Ready(nil, 9)); !reflect.DeepEqual(got, []int{8, 9, 10, 11}) {
		t.Errorf("resumed with %v", got)
	}
	other := b.Follow(ID{Run: "abc", Number: 7})
	if got := numbers(other.Ready(nil, 9)); !reflect.DeepEqual(got, []int{0, 8, 9, 10, 11}) {
		t.Errorf("after a restart: %v", got)
	}
}

func TestNextWaitsForAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus(4)
		r := b.Follow(ID{})
		var got []Event
		done := make(chan error, 1)
		go func() {
			var err error
			got, err = r.Next(t.Context(), nil, 4)
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("returned without an event: %v", err)
		default:
		}
		emit(b, 1)
		if err := <-done; err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Next(ctx, nil, 4); err == nil {
			t.Error("no error when the context has ended")
		}
	})
}

func TestAClosedBusIsReadToItsEnd(t *testing.T) {
	b := NewBus(8)
	r := b.Follow(ID{})
	emit(b, 2)
	b.Close()
	b.Close()
	emit(b, 1)
	if got, err := r.Next(t.Context(), nil, 9); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := r.Next(t.Context(), nil, 9); !errors.Is(err, ErrClosed) {
		t.Errorf("%v behind the last event", err)
	}
}

func TestEmittersAndReadersAtOnce(t *testing.T) {
	b := NewBus(64)
	const emitters, each = 4, 500
	var wg sync.WaitGroup
	for range emitters {
		wg.Go(func() { emit(b, each) })
	}
	for range 3 {
		r := b.Follow(ID{Run: b.Last().Run})
		wg.Go(func() {
			seen := uint64(0)
			for seen < emitters*each {
				list, err := r.Next(t.Context(), nil, 10)
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range list {
					if gap, ok := e.Data.(Gap); ok {
						seen += gap.Events
						continue
					}
					if seen++; e.ID.Number != seen {
						t.Errorf("number %d in place %d", e.ID.Number, seen)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestIDsReadBackAsWritten(t *testing.T) {
	for _, text := range []string{"", "x", "-1", "ab", "ab-", "ab--1", "ab-01", "ab-+1", "AB-1", "ab-1 ", "ab-99999999999999999999",
		fmt.Sprintf("%033d-1", 0)} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("%q is %v", text, id)
		}
	}
	want := Event{ID: ID{Run: "19ab", Number: 7}, Type: StreamIdle, Stream: "live/test"}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Event
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s: %+v, %v", text, got, err)
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"19ab03cd4e5f-17", "", "-", "a-0", "a-18446744073709551615"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err == nil && id.String() != text {
			t.Errorf("%q reads as %q", text, id)
		}
	})
}
