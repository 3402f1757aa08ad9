package hooks

import (
	"encoding/json"
	"hash/fnv"
	"slices"

	"github.com/headwater-live/headwater/events"
)

// take writes the events that are wanted to the endpoint's queues.
func (e *endpoint) take(list []events.Event) {
	var touched [lanes]bool
	for i := range list {
		event := &list[i]
		if event.Type != events.Missed && !slices.Contains(e.config().Types, event.Type) {
			continue
		}
		n := laneOf(event.Stream)
		if e.lanes[n].add(event) {
			touched[n] = true
		}
	}
	for n, l := range e.lanes {
		if !touched[n] {
			continue
		}
		if err := l.queue.sync(); err != nil {
			e.config().Logger.Error("webhook queue not synced", "endpoint", e.shown, "error", err)
		}
		l.signal()
	}
}

// laneOf returns the lane of a stream's events.
func laneOf(stream string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(stream)) // never fails, by its documentation
	return int(h.Sum32() % lanes)
}

// add writes an event to the queue, and before it how many found no room.
func (l *lane) add(event *events.Event) bool {
	if l.missed > 0 {
		gap := events.Event{ID: event.ID, Time: event.Time, Type: events.Missed, Data: events.Gap{Events: l.missed}}
		if !l.write(&gap) {
			l.lose()
			return false
		}
		l.missed = 0
	}
	if !l.write(event) {
		l.lose()
		return false
	}
	return true
}

func (l *lane) lose() {
	l.missed++
	l.endpoint.dropped.Add(1)
	if l.missed == 1 {
		l.endpoint.config().Logger.Error("webhook queue takes no more: events are dropped", "endpoint", l.endpoint.shown)
	}
}

func (l *lane) write(event *events.Event) bool {
	body, err := json.Marshal(event)
	if err != nil {
		return false
	}
	return l.queue.add(body) == nil
}
