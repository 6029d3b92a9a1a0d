package disklog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// openWrite opens the folder for writing: it takes the lock, finds out what is durable, cuts a torn tail, and starts the goroutines.
func (l *Log) openWrite() error {
	for _, dir := range []string{l.sidesDir(), l.quarantineDir()} {
		if err := l.fs.MkdirAll(dir); err != nil {
			return err
		}
	}
	lock, err := l.fs.Lock(filepath.Join(l.dir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %w", changelog.ErrInUse, err)
	}
	if err != nil {
		return err
	}
	l.lock = lock
	l.writer.compressor = segment.NewCompressor(segment.LevelFast)
	manifest, err := l.readManifest()
	if err != nil {
		return err
	}
	if err := l.removeLeftovers(); err != nil {
		return err
	}
	if err := l.recover(manifest); err != nil {
		return err
	}
	if err := l.writeManifest(); err != nil {
		return err
	}
	l.routines.Add(1)
	go l.flush()
	if !l.o.KeepOpenForm {
		l.routines.Add(1)
		go l.sealInBackground()
	}
	return nil
}

// recover loads the segments that there are, or makes the first one.
func (l *Log) recover(m *manifest) error {
	numbers, err := l.listNumbers(l.segmentsDir(), segmentSuffix)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		if m != nil {
			return l.missing(m.active)
		}
		return l.create()
	}
	if err := l.loadSegments(numbers, m); err != nil {
		return err
	}
	if err := l.resume(m); err != nil {
		return err
	}
	return l.removeUnnamedSides()
}

// create makes a new log.
func (l *Log) create() error {
	if _, err := rand.Read(l.id[:]); err != nil {
		return fmt.Errorf("draw an id: %w", err)
	}
	l.catalog = changelog.NewCatalog()
	l.next, l.durable = 1, 1
	return l.createSegment(1, 1, l.catalog.AppendDictionary(nil))
}

// missing is the error about a segment that the folder must hold and does not.
func (l *Log) missing(number uint64) error {
	return &changelog.CorruptError{File: filepath.Join(logFolder, segmentName(number)), What: "the file is missing"}
}

// listNumbers are the numbers of the files with the suffix in a folder, ascending.
func (l *Log) listNumbers(dir, suffix string) ([]uint64, error) {
	names, err := l.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := numberOf(name, suffix); ok {
			numbers = append(numbers, n)
		}
	}
	return sortedNumbers(numbers), nil
}

// removeLeftovers removes files that were never given their name.
func (l *Log) removeLeftovers() error {
	names, err := l.fs.ReadDir(l.segmentsDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, tmpSuffix) {
			if err := l.fs.Remove(filepath.Join(l.segmentsDir(), name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeUnnamedSides removes side segments that no durable unit names: their transactions were never appended.
func (l *Log) removeUnnamedSides() error {
	numbers, err := l.listNumbers(l.sidesDir(), sideSuffix)
	if err != nil {
		return err
	}
	named, damaged := map[uint64]bool{}, false
	for _, s := range l.segments {
		damaged = damaged || s.damage != nil
		for _, id := range s.sides {
			named[id] = true
			l.nextSide = max(l.nextSide, id+1)
		}
	}
	for _, id := range numbers {
		l.nextSide = max(l.nextSide, id+1)
		if named[id] || damaged { // a damaged segment may name any of them
			continue
		}
		if err := l.fs.Remove(filepath.Join(l.sidesDir(), sideName(id))); err != nil {
			return err
		}
		l.logger.Info("removed the side segment of a transaction that was never appended", "side", id)
	}
	return nil
}
