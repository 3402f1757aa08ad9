package hls

import "time"

// giveUp removes what was not taken up, when the storage can be written: otherwise the next process
// would go on with it. Playlists that had ended stay for that: they cannot go back.
func (s *Server) giveUp(all []*leftover) {
	for s.write() != nil {
		select {
		case <-time.After(retryStore):
		case <-s.ctx.Done():
			return
		}
	}
	for _, l := range all {
		if l.load(s.config.Storage); !l.isKept() && l.text.ended == nil {
			s.clean([]string{l.folder() + "/" + journalName})
		}
		l.rest.close()
	}
}

// tidy reads the rest of large journals, and removes what nobody needs. It leaves half of a processor to
// the streams.
func (s *Server) tidy(all []*leftover) {
	for _, l := range all {
		began := time.Now()
		if s.ctx.Err() == nil {
			s.clean(s.litter(l))
		}
		l.rest.close()
		if l.rest != nil {
			select {
			case <-time.After(time.Since(began)):
			case <-s.ctx.Done():
			}
		}
		*l = leftover{} // its memory
	}
}

// litter returns what nobody needs of a leftover, when it is wholly read.
func (s *Server) litter(l *leftover) []string {
	if l.isKept() {
		return nil
	}
	if l.rest != nil {
		older, err := l.readRest(s.config.Storage)
		if err != nil { // what there is stays until the stream has ended
			l.channel.log.Warn("segments from before the playlist are not served again", "error", err)
			return nil
		}
		if l.text.fault != nil {
			l.channel.log.Warn("journal of an earlier run is damaged, its newest part is not", "error", l.text.fault)
		}
		l.channel.takeOlder(older)
	}
	if l.files == nil {
		if err := l.list(s.config.Storage); err != nil {
			s.config.Logger.Warn("folder of an earlier run not listed", "folder", l.folder(), "error", err)
			return nil
		}
	}
	if l.err != nil {
		return l.paths()
	}
	return l.orphans()
}

// clean removes what nobody needs.
func (s *Server) clean(litter []string) {
	for _, name := range litter {
		if s.ctx.Err() != nil {
			return
		}
		if err := s.config.Storage.Remove(name); err != nil {
			s.config.Logger.Warn("orphan not removed", "blob", name, "error", err)
		}
	}
}
