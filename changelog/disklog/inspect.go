package disklog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"cdc/changelog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// SegmentReport is what is known of one file of a log.
type SegmentReport struct {
	// File is the file's name within the folder.
	File   string
	Number uint64
	Form   segment.Form
	// First and Next bound the offsets: [First, Next).
	First, Next changelog.Offset
	Bytes       int64 // of the file
	Frames      int
	Units       uint64
	Changes     uint64
	SideBytes   uint64 // of change sections in side segments
	// TornBytes follow the last frame of the file that the log ends in: a write that a crash tore.
	TornBytes int64
	// Err is what is wrong, nil when every byte is as it was written.
	Err error
}

// inspection looks at the files of a folder without opening the log.
type inspection struct {
	l        *Log
	manifest *manifest
	numbers  []uint64
	previous *segmentInfo // nil when nothing is known of the segment before
}

// inspect readies an inspection.
func inspect(fsys vfs.FS, dir string) (*inspection, error) {
	o := Options{FS: fsys, ReadOnly: true}.withDefaults()
	l := &Log{o: o, dir: dir, fs: o.FS, logger: o.Logger, decoder: segment.NewDecompressor()}
	i := &inspection{l: l}
	var err error
	if i.manifest, err = l.readManifest(); err != nil {
		return nil, err
	}
	if i.numbers, err = l.listNumbers(l.segmentsDir(), segmentSuffix); err != nil {
		return nil, err
	}
	if i.manifest != nil {
		l.id = i.manifest.id
	}
	return i, nil
}

// Verify reads every byte of the log in a folder and calls report with what it found of each segment, in order. It returns an error
// when anything is damaged or missing. A log that is being written can be verified: a write that is under way looks torn.
func Verify(ctx context.Context, fsys vfs.FS, dir string, report func(SegmentReport)) error {
	i, err := inspect(fsys, dir)
	if err != nil {
		return fmt.Errorf("verify log in %s: %w", dir, err)
	}
	if len(i.numbers) == 0 {
		return fmt.Errorf("verify log in %s: %w", dir, i.l.missing(1))
	}
	var problems []error
	last := i.numbers[len(i.numbers)-1]
	if i.manifest != nil && last < i.manifest.active {
		problems = append(problems, i.l.missing(i.manifest.active))
	}
	for number := firstSegment; number <= last; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := i.verify(ctx, number)
		if r.Err != nil {
			problems = append(problems, r.Err)
		}
		report(r)
	}
	if s := i.previous; s != nil && i.manifest != nil && s.next < i.manifest.durable {
		problems = append(problems, &changelog.CorruptError{
			File: i.l.inFolder(last), At: s.end, Offset: s.next, What: fmt.Sprintf("offset %d was durable", i.manifest.durable-1),
		})
	}
	return errors.Join(problems...)
}

// verify reads one segment.
func (i *inspection) verify(ctx context.Context, number uint64) SegmentReport {
	l := i.l
	report := SegmentReport{File: l.inFolder(number), Number: number}
	if l.id == [16]byte{} {
		report.Err = l.adoptID(number)
	}
	var s *segmentInfo
	if report.Err == nil {
		s, report.Err = l.loadSegment(number, false)
	}
	before := i.previous
	i.previous = s
	if report.Err != nil {
		return report
	}
	report.First, report.Next, report.Form = s.first, s.next, segment.FormOpen
	if s.sealed {
		report.Form = segment.FormSealed
	}
	report.TornBytes = max(0, s.torn-s.end)
	report.Bytes, report.Err = l.fs.Stat(l.segmentPath(number))
	report.Err = errors.Join(report.Err, s.damage, i.checkChain(before, s), i.readSegment(ctx, s, &report))
	return report
}

// checkChain compares a segment with the one before it.
func (i *inspection) checkChain(before, s *segmentInfo) error {
	if before == nil {
		return nil
	}
	if before.next != s.first {
		return &changelog.CorruptError{
			File: i.l.inFolder(s.number), Offset: before.next,
			What: fmt.Sprintf("it begins at offset %d, the segment before ends before offset %d", s.first, before.next),
		}
	}
	if s.sealed && before.sealed && s.previous != before.footer && s.previous != [32]byte{} {
		return &changelog.CorruptError{File: i.l.inFolder(s.number), What: "it does not follow the footer of the segment before"}
	}
	return nil
}

// readSegment reads every unit and change of a segment, and its body's hash.
func (i *inspection) readSegment(ctx context.Context, s *segmentInfo, report *SegmentReport) (err error) {
	units, err := i.l.openUnits(s, s.first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, units.close()) }()
	if units.sealed() {
		f, err := units.r.Footer(i.l.decoder)
		if err == nil {
			err = units.r.CheckBody(f)
		}
		if err != nil {
			return err
		}
	}
	if i.l.catalog, err = i.l.readDictionary(units.r); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := units.read(s.first)
		if raw == nil || err != nil {
			return err
		}
		report.Frames++
		err = eachUnit(raw, units.first, units.at, func(u *changelog.Unit) error {
			report.Units++
			return i.readUnit(u, report)
		})
		if err != nil {
			return units.corrupt(err)
		}
	}
}

// readUnit applies a unit to the catalog and reads its changes.
func (i *inspection) readUnit(u *changelog.Unit, report *SegmentReport) error {
	u.LoadPosition()
	if err := i.l.catalog.Apply(&u.Meta, u.CatalogRecords); err != nil {
		return err
	}
	side := sideReader{l: i.l}
	if err := side.attach(u, i.l.catalog, nil); err != nil {
		return err
	}
	report.SideBytes += side.ref.Bytes
	for c := (changelog.Change{}); ; report.Changes++ {
		ok, err := u.Next(&c)
		if !ok || err != nil {
			return errors.Join(err, side.close())
		}
	}
}

// Stat says what a folder holds, segment by segment, without reading the segments' bodies where they are sealed.
func Stat(fsys vfs.FS, dir string) ([]SegmentReport, error) {
	i, err := inspect(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("stat log in %s: %w", dir, err)
	}
	var all []SegmentReport
	for _, number := range i.numbers {
		r := SegmentReport{File: i.l.inFolder(number), Number: number, Form: segment.FormOpen}
		if i.l.id == [16]byte{} {
			r.Err = i.l.adoptID(number)
		}
		s, err := i.l.loadSegment(number, false)
		if r.Err = errors.Join(r.Err, err); r.Err == nil {
			r.First, r.Next, r.TornBytes, r.Err = s.first, s.next, max(0, s.torn-s.end), s.damage
			if s.sealed {
				r.Form = segment.FormSealed
			}
		}
		if r.Bytes, err = i.l.fs.Stat(i.l.segmentPath(number)); err != nil {
			r.Err = errors.Join(r.Err, err)
		}
		for _, id := range i.sidesOf(s) {
			size, err := i.l.fs.Stat(filepath.Join(i.l.sidesDir(), sideName(id)))
			if errors.Is(err, fs.ErrNotExist) {
				err = &changelog.CorruptError{File: filepath.Join(logFolder, sideFolder, sideName(id)), What: "the file is missing"}
			}
			r.Err = errors.Join(r.Err, err)
			r.SideBytes += uint64(size)
		}
		all = append(all, r)
	}
	return all, nil
}

func (i *inspection) sidesOf(s *segmentInfo) []uint64 {
	if s == nil {
		return nil
	}
	return s.sides
}
