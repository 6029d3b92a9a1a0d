package disklog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// loadSealed takes a sealed segment in by its footer.
func (l *Log) loadSealed(r *segment.Reader) (*segmentInfo, error) {
	f, err := r.Footer(l.decoder)
	if err != nil {
		return nil, err
	}
	return &segmentInfo{
		number: r.Header.ID.Number, first: f.First, next: f.Next, sealed: true, marks: f.Marks(), sides: f.Sides, footer: f.Hash,
		previous: r.Header.Previous,
	}, nil
}

// sealInBackground is the sealer goroutine: it seals segments as they become full. What goes wrong is tried again when the next
// one is full; a segment that is not sealed is larger, and whole.
func (l *Log) sealInBackground() {
	defer l.routines.Done()
	seen := 0
	for {
		l.mu.Lock()
		count, news := len(l.segments), l.changed.wait()
		l.mu.Unlock()
		if count != seen {
			seen = count
			if err := l.Seal(l.stopped); err != nil && l.stopped.Err() == nil {
				l.logger.Warn("segments cannot be sealed for now", "err", err)
			}
		}
		select {
		case <-news:
		case <-l.stopped.Done():
			return
		}
	}
}

// Seal seals all full segments that are not sealed yet, and returns when that is done. It is for one that wants the log small now;
// a log does it by itself in the background.
func (l *Log) Seal(ctx context.Context) error {
	if l.o.ReadOnly {
		return changelog.ErrReadOnly
	}
	l.sealing.Lock()
	defer l.sealing.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.stopped.Err() != nil {
			return changelog.ErrClosed
		}
		s, previous := l.nextToSeal()
		if s == nil {
			return nil
		}
		err := l.sealSegment(ctx, s, previous)
		var corrupt *changelog.CorruptError
		if errors.As(err, &corrupt) && !errors.Is(err, errSealed) {
			l.mu.Lock()
			s.damage = err
			l.mu.Unlock()
			l.logger.Error("segment is damaged and stays as it is", "segment", s.number, "err", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("seal %s: %w", segmentName(s.number), err)
		}
	}
}

// nextToSeal is the first full segment that is not sealed, nil when there is none, and the hash of the footer before it.
func (l *Log) nextToSeal() (s *segmentInfo, previous [32]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments[:len(l.segments)-1] {
		if !s.sealed && s.damage == nil {
			return s, previous
		}
		previous = s.footer
	}
	return nil, previous
}

// sealSegment writes the sealed form beside the segment, reads it back, and puts it in the segment's place.
func (l *Log) sealSegment(ctx context.Context, s *segmentInfo, previous [32]byte) (err error) {
	path := l.segmentPath(s.number)
	tmp := path + tmpSuffix
	if err := l.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := l.fs.Create(tmp)
	if err != nil {
		return err
	}
	footer, err := l.writeSealed(ctx, file, s, previous)
	if err == nil {
		err = l.checkSealed(ctx, tmp, s)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, l.fs.Remove(tmp))
	}
	if err := l.fs.Rename(tmp, path); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.segmentsDir()); err != nil {
		return err
	}
	l.mu.Lock()
	s.sealed, s.footer = true, footer.Hash
	s.blocks, s.tail = nil, segment.Block{}
	l.changed.broadcast()
	l.mu.Unlock()
	l.logger.Info("segment sealed", "segment", s.number, "bytes", footer.Pos)
	return l.writeManifest()
}

// writeSealed writes the segment's units to the file in the sealed form.
func (l *Log) writeSealed(ctx context.Context, file vfs.File, s *segmentInfo, previous [32]byte) (footer *segment.Footer, err error) {
	units, err := l.openUnits(s, s.first)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, units.close()) }()
	dictionary, err := l.dictionaryBytes(units.r)
	if err != nil {
		return nil, err
	}
	h := units.r.Header
	h.Previous = previous
	sealer, err := segment.NewSealer(file, h, dictionary, l.catalog)
	if err != nil {
		return nil, err
	}
	for {
		raw, err := units.read(s.first)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if raw == nil {
			break
		}
		if err := sealer.Add(raw); err != nil {
			return nil, units.corrupt(err)
		}
	}
	if footer, err = sealer.Finish(); err != nil {
		return nil, err
	}
	if footer.Next != s.next {
		return nil, &changelog.CorruptError{File: units.r.Name(), Offset: footer.Next, What: fmt.Sprintf("it ends before offset %d", s.next)}
	}
	return footer, nil
}

// errSealed says that a sealed form does not hold what it was made from; the segment stays as it is.
var errSealed = errors.New("the sealed form does not hold the same units")

// checkSealed compares what can be read from the sealed form with the segment itself, which it is to replace.
func (l *Log) checkSealed(ctx context.Context, sealed string, s *segmentInfo) error {
	before, err := l.hashUnits(ctx, l.segmentPath(s.number), s)
	if err != nil {
		return err
	}
	after, err := l.hashUnits(ctx, sealed, s)
	if err != nil {
		return errors.Join(errSealed, err)
	}
	if !bytes.Equal(before, after) {
		return errSealed
	}
	return nil
}

// hashUnits is the hash of all units in a file.
func (l *Log) hashUnits(ctx context.Context, path string, s *segmentInfo) (sum []byte, err error) {
	units, err := l.openUnitsAt(path, s, s.first)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, units.close()) }()
	h := sha256.New()
	for {
		raw, err := units.read(s.first)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if raw == nil {
			return h.Sum(nil), nil
		}
		h.Write(raw)
	}
}
