package disklog

// Health is the state of a log for an operator.
type Health struct {
	// Err is why nothing is being appended: it wraps changelog.ErrNoSpace while the disk is full, which heals by itself, and
	// changelog.ErrPoisoned after a failed sync or write, which does not. Nil when all is well.
	Err error
	// Damage lists segments that cannot be read in full.
	Damage []error
	// PendingBytes wait to become durable.
	PendingBytes int
}

// Health says how the log is.
func (l *Log) Health() Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := Health{Err: l.failed, PendingBytes: len(l.pending.raw)}
	if h.Err == nil {
		h.Err = l.noSpace
	}
	for _, s := range l.segments {
		if s.damage != nil {
			h.Damage = append(h.Damage, s.damage)
		}
	}
	return h
}
