package disklog

import (
	"errors"
	"fmt"
	"time"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// How long the flusher waits before it tries a full disk again: long enough to cost nothing, short enough that work goes on within
// seconds of space being freed.
const (
	spaceRetryFirst = 10 * time.Millisecond
	spaceRetryMax   = 2 * time.Second
)

// writer is the end of the log: the file being written and how far.
type writer struct {
	file       vfs.File
	id         segment.ID
	end        int64 // bytes written and durable
	compressor *segment.Compressor
	group      group
	out        []byte
}

// flush is the flusher goroutine.
func (l *Log) flush() {
	defer l.routines.Done()
	for l.takeGroup() {
		if err := l.writeGroup(); err != nil {
			l.fail(err)
			return
		}
		l.writer.group.reset()
	}
}

// takeGroup waits for pending units and moves them to the writer; false when the log closes and nothing is pending.
func (l *Log) takeGroup() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending.frames) == 0 || l.failed != nil {
		if l.closing || l.failed != nil {
			return false
		}
		news := l.appended.wait()
		l.mu.Unlock()
		<-news
		l.mu.Lock()
	}
	l.pending, l.writer.group = l.writer.group, l.pending
	l.changed.broadcast() // there is room for more
	return true
}

// writeGroup makes the group durable, segment by segment.
func (l *Log) writeGroup() error {
	g := &l.writer.group
	for from := 0; from < len(g.frames); {
		if dictionary := g.frames[from].dictionary; dictionary != nil {
			if err := l.roll(dictionary, g.frames[from].first); err != nil {
				return err
			}
		}
		to := from + 1
		for to < len(g.frames) && g.frames[to].dictionary == nil {
			to++
		}
		if err := l.writeFrames(from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// writeFrames writes frames [from, to) of the group to the end of the file, makes them durable and shows them to readers.
func (l *Log) writeFrames(from, to int) error {
	w := &l.writer
	w.out = w.out[:0]
	estimate, start := int64(0), 0
	if from > 0 {
		start = w.group.frames[from-1].end
	}
	ends := make([]int64, 0, 8)
	for _, f := range w.group.frames[from:to] {
		at := len(w.out)
		h := segment.FrameHeader{Type: segment.FrameUnits, First: f.first, Count: f.count, Units: f.units}
		var err error
		if w.out, err = w.compressor.AppendFrame(w.out, h, w.group.raw[start:f.end]); err != nil {
			return err
		}
		w.id.Seal(w.out[at:], w.end+int64(at), uint64(w.end))
		estimate += segmentOverhead + int64(f.end-start)
		start = f.end
		ends = append(ends, w.end+int64(len(w.out)))
	}
	if err := l.persist(w.out); err != nil {
		return err
	}
	l.publish(w.group.frames[from:to], ends, estimate)
	if cap(w.out) > keepBufferBytes {
		w.out = nil
	}
	return nil
}

// persist writes b at the end of the file and syncs it. While the disk is full it waits and writes the same bytes to the same place
// again, so that a part written earlier does no harm.
func (l *Log) persist(b []byte) error {
	w := &l.writer
	err := l.untilSpace(nil, func() error {
		_, err := w.file.WriteAt(b, w.end)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", segmentName(w.id.Number), err)
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", segmentName(w.id.Number), err)
	}
	return nil
}

// untilSpace repeats a write for as long as it fails for want of space, the log is not being closed and interrupted (nil: never)
// not done.
func (l *Log) untilSpace(interrupted <-chan struct{}, write func() error) error {
	wait := spaceRetryFirst
	for {
		err := write()
		if err == nil || !vfs.IsNoSpace(err) {
			l.setNoSpace(nil)
			return err
		}
		l.setNoSpace(fmt.Errorf("%w: %w", changelog.ErrNoSpace, err))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.stopped.Done():
			timer.Stop()
			return err
		case <-interrupted:
			timer.Stop()
			return fmt.Errorf("%w: %w", changelog.ErrNoSpace, err)
		}
		wait = min(2*wait, spaceRetryMax)
	}
}

func (l *Log) setNoSpace(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil && l.noSpace == nil:
		l.logger.Error("disk is full, appends wait until there is space", "err", err)
	case err == nil && l.noSpace != nil:
		l.logger.Info("disk has space again, appends go on")
	case err == nil:
		return
	}
	l.noSpace = err
	l.changed.broadcast()
}

// publish shows durable frames to readers. estimate is how many bytes they were expected to take.
func (l *Log) publish(frames []pendingFrame, ends []int64, estimate int64) {
	w := &l.writer
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.segments[len(l.segments)-1]
	pos := w.end
	for i := range frames {
		f := &frames[i]
		s.note(pos, ends[i], f.first, f.count, f.marks)
		s.sides = append(s.sides, f.sides...)
		pos = ends[i]
	}
	if l.filling == s.number {
		l.filled -= estimate - (pos - w.end)
	}
	w.end = pos
	l.durable = s.next
	l.changed.broadcast()
}

// fail ends the flusher. What was written and not made durable is cut off, so that it cannot be taken for durable later: after a
// failed sync the kernel may show pages that are not on the disk. This is the only thing done to the file afterwards.
func (l *Log) fail(err error) {
	cut := l.writer.file.Truncate(l.writer.end)
	l.poison(errors.Join(err, cut))
}

// poison ends all writing.
func (l *Log) poison(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return
	case l.closing && vfs.IsNoSpace(err):
		l.failed = fmt.Errorf("%w: %w", changelog.ErrNoSpace, err)
	default:
		l.failed = fmt.Errorf("%w: %w", changelog.ErrPoisoned, err)
		l.logger.Error("log cannot be written any more", "err", err)
	}
	l.appended.broadcast()
	l.changed.broadcast()
}
