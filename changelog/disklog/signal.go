package disklog

// signal wakes all who wait for a change. Its methods need the lock that guards it, receiving does not.
type signal struct{ c chan struct{} }

// wait is closed by the next broadcast.
func (s *signal) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) broadcast() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
