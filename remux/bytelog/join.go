package bytelog

// State is what a viewer must know to go on.
type State struct {
	// Begun: a publication has shown its tracks.
	Begun bool
	// Closed: nothing more will come.
	Closed bool
	// Changed is closed when there is something new.
	Changed <-chan struct{}
	// End is the offset of the log's end.
	End int64
}

// State returns the log's state.
func (l *Log) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Begun: l.begun, Closed: l.closed, Changed: l.wake, End: l.endLocked().Offset()}
}

// ends returns the offsets of the log's end and of where a viewer that fell behind continues.
func (l *Log) ends() (end, join int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endLocked().Offset(), l.joinAt.Offset()
}

// beforeBegin returns the log's beginning if nothing has begun yet.
func (l *Log) beforeBegin() (at Position, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endLocked(), !l.begun
}

// start returns what a viewer must be sent that begins where the log did: the configurations
// are in the log itself.
func (l *Log) start(dst []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.format.Join(dst, Join{First: true, Tracks: l.tracks})
}

// Join returns where a viewer begins, or continues after it fell behind, and the bytes it
// must be sent before. known is what the last Join returned, 0 for a viewer that has been
// sent nothing.
func (l *Log) Join(dst []byte, known uint64) (prologue []byte, at Position, configs uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := Join{First: known == 0, Tracks: l.tracks, DTS: l.clock.at(l.joinDTS)}
	// An offset of one keeps 0 for viewers that have been sent nothing.
	configs = l.configs + 1
	if known != configs {
		for _, s := range l.setups() {
			switch {
			case s.pkt == nil:
			case s.confirmed:
				j.Configs = append(j.Configs, s.pkt)
			default:
				l.unaware = true // it is written again if it comes again
			}
		}
		j.Configs = append(j.Configs, l.states.All()...)
	}
	at = l.joinAt
	if j.First && l.between {
		at = l.endLocked()
	}
	j.AtEnd = at == l.endLocked() || l.starting
	return l.format.Join(dst, j), at, configs
}
