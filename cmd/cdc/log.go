package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
)

type logCmd struct {
	Verify logVerifyCmd `cmd:"" help:"Check every byte of the log."`
	Dump   logDumpCmd   `cmd:"" help:"Print what the log's files hold, frame by frame."`
	Stat   logStatCmd   `cmd:"" help:"Print sizes and counts of the log's files."`
}

var segmentShape = present.Shape(
	present.Field{Name: "file", Kind: schema.Text}, present.Field{Name: "form", Kind: schema.Text},
	present.Field{Name: "first", Kind: schema.Uint64}, present.Field{Name: "last", Kind: schema.Uint64},
	present.Field{Name: "bytes", Kind: schema.Int64}, present.Field{Name: "side_bytes", Kind: schema.Int64},
	present.Field{Name: "frames", Kind: schema.Int64}, present.Field{Name: "units", Kind: schema.Int64},
	present.Field{Name: "changes", Kind: schema.Int64}, present.Field{Name: "torn_bytes", Kind: schema.Int64},
	present.Field{Name: "error", Kind: schema.Text},
)

// segmentRows prints reports about segments, one row each.
type segmentRows struct {
	record *present.Record
	err    error
	n      int
}

func (s *segmentRows) add(r disklog.SegmentReport) {
	if s.err != nil {
		return
	}
	s.n++
	b := s.record.Begin()
	b.String(0, r.File)
	b.String(1, formText(r.Form))
	b.Uint64(2, uint64(r.First))
	if r.Next > r.First {
		b.Uint64(3, uint64(r.Next-1))
	} else {
		b.Null(3)
	}
	b.Int(4, r.Bytes)
	b.Int(5, int64(r.SideBytes))
	b.Int(6, int64(r.Frames))
	b.Int(7, int64(r.Units))
	b.Int(8, int64(r.Changes))
	b.Int(9, r.TornBytes)
	text := ""
	if r.Err != nil {
		text = r.Err.Error()
	}
	setText(b, 10, text)
	s.err = s.record.End()
}

func formText(f segment.Form) string {
	if f == segment.FormSealed {
		return "sealed"
	}
	return "open"
}

// printSegments gives each to add, which prints it.
func printSegments(app *App, flags *rowFlags, each func(add func(disklog.SegmentReport)) error) error {
	if err := app.requireLog(); err != nil {
		return err
	}
	out, err := flags.open(app)
	if err != nil {
		return err
	}
	record, err := out.Record(segmentShape)
	if err != nil {
		return out.close(err)
	}
	rows := segmentRows{record: record}
	err = each(rows.add)
	printed := errors.Join(rows.err, record.Close())
	if printed == nil {
		printed = out.Footer("(%s)", counted(rows.n, "file"))
	}
	return errors.Join(logError(err), out.close(printed))
}

// logError gives an error about the log's files the code of damage, whatever it is.
func logError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var corrupt *changelog.CorruptError
	if errors.As(err, &corrupt) {
		return &exit.Error{
			Code: exit.Log, What: err.Error(), Err: err,
			Remedy: "what the rows above call sound stays readable; restore the damaged files from a copy, or copy the source again into a new folder",
		}
	}
	return &exit.Error{Code: exit.Log, What: err.Error(), Remedy: "check that the files can be read by this user", Err: err}
}

type logVerifyCmd struct{ rowFlags }

// Help describes the verb with examples.
func (logVerifyCmd) Help() string {
	return `Reads every file of the log, side segments included, and checks every checksum, the order of the offsets and the chain of hashes. Damage is reported with its place and exit code 9. It may run beside 'cdc run' and changes nothing.

Examples:

	cdc log verify
	cdc log verify --data /backup/cdc-data --json`
}

// Run verifies the log.
func (l *logVerifyCmd) Run(ctx context.Context, app *App) error {
	return printSegments(app, &l.rowFlags, func(add func(disklog.SegmentReport)) error {
		return disklog.Verify(ctx, vfs.OS{}, app.Data, add)
	})
}

type logStatCmd struct{ rowFlags }

// Help describes the verb with examples.
func (logStatCmd) Help() string {
	return `Prints one row for each file of the log with its offsets, sizes and counts.

Examples:

	cdc log stat
	cdc log stat --json`
}

// Run prints the files.
func (l *logStatCmd) Run(_ context.Context, app *App) error {
	return printSegments(app, &l.rowFlags, func(add func(disklog.SegmentReport)) error {
		all, err := disklog.Stat(vfs.OS{}, app.Data)
		for _, r := range all {
			add(r)
		}
		return err
	})
}

type logDumpCmd struct {
	File    string `arg:"" optional:"" help:"A .seg or .side file, or a folder; by default the folder of --data."`
	Changes bool   `help:"Print every change with its rows."`
}

// Help describes the verb with examples.
func (logDumpCmd) Help() string {
	return `Prints frames and units in the order in which they lie in the files, up to the first damage.

Examples:

	cdc log dump
	cdc log dump --changes cdc-data/log/00000001.seg`
}

// Run prints the file or the folder.
func (l *logDumpCmd) Run(_ context.Context, app *App) error {
	path := l.File
	if path == "" {
		if err := app.requireLog(); err != nil {
			return err
		}
		path = app.Data
	}
	err := disklog.Dump(app.Stdout, vfs.OS{}, path, disklog.DumpOptions{Changes: l.Changes})
	if errors.Is(err, fs.ErrNotExist) {
		return &exit.Error{Code: exit.Usage, What: fmt.Sprintf("there is no file %s", path), Remedy: "'cdc log stat' lists the log's files", Err: err}
	}
	return logError(err)
}
