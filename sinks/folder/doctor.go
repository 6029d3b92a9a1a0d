package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cdc/sinks"
)

var _ sinks.Doctor = (*Sink)(nil)

// Doctor implements sinks.Doctor. The folder is not made, and its lock not taken: what another process does there is not known.
func (s *Sink) Doctor(_ context.Context, _ []sinks.Topic, _ sinks.Checkpoint) (findings []sinks.Finding) {
	found := func(check string, severity sinks.Severity, remedy, format string, args ...any) {
		findings = append(findings, sinks.Finding{Check: check, Severity: severity, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	dir, err := s.o.existing()
	switch {
	case err != nil:
		found("folder", sinks.SeverityProblem, "name another folder", "%v", err)
		return findings
	case dir != filepath.Clean(s.o.Dir):
		found("folder", sinks.SeverityOK, "", "%s is not there, and can be made in %s", s.o.Dir, dir)
	default:
		found("folder", sinks.SeverityOK, "", "%s can be written", s.o.Dir)
	}
	_, err = s.o.readCommit()
	var stop *sinks.Stop
	switch {
	case errors.As(err, &stop):
		found("files", sinks.SeverityProblem, stop.Remedy, "%s: %s", stop.Kind, stop.Detail)
	case err != nil:
		found("files", sinks.SeverityProblem, "let this user read the folder", "%v", err)
	}
	free, err := s.o.FS.Free(dir)
	switch {
	case err != nil:
		found("disk", sinks.SeverityWarning, "", "how much space is free is not known: %v", err)
	case free < s.o.RoundBytes+spareBytes:
		found("disk", sinks.SeverityWarning, "make room, or name a folder on another disk",
			"%d bytes are free, and files that are not finished take up to %d", free, s.o.RoundBytes)
	default:
		found("disk", sinks.SeverityOK, "", "%d bytes are free, and files that are not finished take up to %d", free, s.o.RoundBytes)
	}
	return findings
}

// existing is the folder, or the one that is there of those that it would be made in. This process may write to it.
func (o *Options) existing() (string, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", err
	}
	named := dir
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s is no folder", dir)
		case err == nil:
			if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
				return "", fmt.Errorf("%s cannot be written: %w", dir, err)
			}
			if dir == named {
				return filepath.Clean(o.Dir), nil
			}
			return dir, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		case filepath.Dir(dir) == dir:
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}
