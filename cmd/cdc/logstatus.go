package main

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/schema"
	"cdc/sources"
)

// phaseNotRunning is the phase of sources that nobody captures at the moment.
const phaseNotRunning = "not running"

// logStatus is what the log says of itself and of its sources.
func logStatus(dir string, log *disklog.Log, known []config.Known) client.Status {
	id, bounds := log.ID(), log.Bounds()
	status := client.Status{
		Data: dir, LogID: hex.EncodeToString(id[:]), First: bounds.First, Durable: bounds.Next - 1,
		LogBytes: diskUsage(filepath.Join(dir, "log")), FreeBytes: -1, Tags: len(log.Catalog().Tags()),
		Full: errors.Is(log.Health().Err, changelog.ErrNoSpace), Sources: []client.Source{},
	}
	if free, err := (vfs.OS{}).Free(dir); err == nil {
		status.FreeBytes = free
	}
	dsns := map[string]string{}
	for _, k := range known {
		dsns[k.Name] = k.DSN
	}
	for _, info := range log.Catalog().Sources() {
		s := sourceStatus(log, info)
		s.DSN = dsns[info.Name]
		delete(dsns, info.Name)
		if s.Phase != phaseDropped || s.DSN != "" {
			status.Sources = append(status.Sources, s)
		}
	}
	for _, k := range known {
		if dsns[k.Name] != "" {
			status.Sources = append(status.Sources, unknownSource(k.Name, config.DSN(k.DSN)))
		}
	}
	return status
}

// unknownSource is a source that the log has not seen yet.
func unknownSource(name string, dsn config.DSN) client.Source {
	return client.Source{Name: name, Kind: dsn.Kind(), DSN: dsn.String(), Phase: phaseNotRunning, LagSeconds: -1, LagBytes: -1, HeldBytes: -1}
}

// phaseDropped is the phase of a source whose last decision was to drop it.
const phaseDropped = "dropped"

// sourceStatus is what the log knows of a source.
func sourceStatus(log *disklog.Log, info changelog.SourceInfo) client.Source {
	at := log.Catalog().Progress(info.ID)
	s := client.Source{
		Name: info.Name, Kind: info.Kind, Phase: phaseNotRunning, Epoch: info.Epoch, Position: positionText(info.Kind, at.Position), Offset: at.Commit,
		LagSeconds: -1, LagBytes: -1, HeldBytes: -1, Stops: openStops(log.Catalog(), info),
	}
	if at.Clock != 0 {
		s.Clock = at.Clock.Time()
	}
	tables, untracked := tablesOf(log, info.Name)
	s.Tables, s.Untracked, s.Copying, s.Rereads = len(tables), untracked, copyingOf(log, info.Name), rereadsOf(log.Catalog(), info)
	if len(s.Stops) > 0 && s.Stops[0].Table == "" {
		s.Phase = string(sources.PhaseStopped)
	}
	if isDropped(log.Catalog(), info) {
		s.Phase = phaseDropped
	}
	return s
}

// isDropped reports whether the source has been dropped since its last unit.
func isDropped(catalog *changelog.Catalog, info changelog.SourceInfo) bool {
	dropped := false
	for _, d := range catalog.Decisions() {
		if d.Source == info.ID && d.Epoch == info.Epoch && d.Table == 0 {
			dropped = d.Action == actionDrop
		}
	}
	return dropped
}

// tablesOf are the source's tables that the log can answer for at its end, and the names of those that exist and are not captured.
func tablesOf(log *disklog.Log, source string) (captured []*schema.Table, untracked []string) {
	for _, t := range log.Catalog().TablesAt(log.Bounds().Next - 1) {
		switch {
		case t.Table.Source != source:
		case t.Answerable():
			captured = append(captured, t.Table)
		case t.State.State == changelog.TableUntracked:
			untracked = append(untracked, tableName(t.Table)+" "+t.State.Detail)
		}
	}
	return captured, untracked
}

// copyingOf are the source's tables of which the log holds a part, as their copy is not complete.
func copyingOf(log *disklog.Log, source string) (names []string) {
	for _, t := range log.Catalog().TablesAt(log.Bounds().Next - 1) {
		if t.Table.Source == source && t.State.State == changelog.TableCopying {
			names = append(names, tableName(t.Table))
		}
	}
	return names
}

// rereadsOf are the source's rereads that are not over, and those that ended without their rows, until the next decision about the table.
func rereadsOf(catalog *changelog.Catalog, info changelog.SourceInfo) (all []client.Reread) {
	decided := map[schema.TableID]changelog.Offset{}
	for _, d := range catalog.Decisions() {
		decided[d.Table] = d.Offset
	}
	for _, r := range catalog.Rereads() {
		over := r.Last.Stage.Over()
		t, ok := catalog.TableAt(r.Asked.Table, math.MaxUint64)
		if !ok || r.Asked.Source != info.ID || r.Last.Stage == changelog.RereadComplete || over && decided[r.Asked.Table] > r.Asked.Offset {
			continue
		}
		state := "waiting"
		switch {
		case over:
			state = "ended"
		case r.Last.Stage == changelog.RereadUnderWay:
			state = "under way"
		}
		all = append(all, client.Reread{Table: tableName(t.Table), Where: r.Asked.Detail, State: state, Detail: r.Last.Detail, Offset: r.Asked.Offset})
	}
	return all
}

func tableName(t *schema.Table) string { return t.Schema + "." + t.Name }

// openStops are the source's stops that nobody has decided about and nothing has mended, that of the whole source first.
func openStops(catalog *changelog.Catalog, info changelog.SourceInfo) []client.Stop {
	var open []client.Stop
	if stop, ok := catalog.OpenStop(info.ID); ok && stop.Epoch == info.Epoch {
		open = append(open, stopStatus(stop, ""))
	}
	newest := map[schema.TableID]changelog.StopRecord{}
	for _, stop := range catalog.Stops() {
		if stop.Source == info.ID && stop.Table != 0 && stop.Epoch == info.Epoch {
			newest[stop.Table] = stop
		}
	}
	for _, d := range catalog.Decisions() {
		if stop, ok := newest[d.Table]; ok && d.Source == info.ID && d.Offset > stop.Offset && d.Action != changelog.ActionReread {
			delete(newest, d.Table)
		}
	}
	for _, t := range catalog.TablesAt(math.MaxUint64) {
		if stop, ok := newest[t.Table.ID]; ok && t.KnownFrom <= stop.Offset {
			open = append(open, stopStatus(stop, tableName(t.Table)))
		}
	}
	return open
}

func stopStatus(s changelog.StopRecord, table string) client.Stop {
	return client.Stop{Kind: string(s.Kind), Table: table, Detail: s.Detail, Remedy: s.Remedy, At: s.At.Time(), Offset: s.Offset}
}

// diskUsage is what the files below a folder take on disk, which is less than their sizes while they are preallocated.
func diskUsage(dir string) (total int64) {
	const blockBytes = 512
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // a file that was sealed away while we looked
		}
		if info, err := entry.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				total += stat.Blocks * blockBytes
			}
		}
		return nil
	})
	return total
}

// Status implements server.Run: what the log says, with what each source says of itself.
func (c *capture) Status() client.Status {
	c.mu.Lock()
	all, known := append([]*captured(nil), c.sources...), c.known
	c.mu.Unlock()
	status := logStatus(c.app.Data, c.log, known)
	status.Running, status.Version, status.PID, status.Started, status.HTTP = true, version, os.Getpid(), c.started.UTC(), c.http
	for _, s := range all {
		i := 0
		for i < len(status.Sources) && status.Sources[i].Name != s.spec.Name {
			i++
		}
		if i == len(status.Sources) {
			status.Sources = append(status.Sources, unknownSource(s.spec.Name, s.spec.DSN))
		}
		c.addProgress(&status.Sources[i], s)
	}
	for _, p := range c.publishers {
		status.Sinks = append(status.Sinks, p.status(status.Durable))
	}
	return status
}

// addProgress adds what the running source says of itself.
func (c *capture) addProgress(out *client.Source, s *captured) {
	now := s.state()
	phase, since, failure, progress := now.phase, now.since, now.failure, now.progress
	out.Phase, out.Since, out.DSN = string(phase), since.UTC(), s.spec.DSN.String()
	if out.Kind == "" {
		out.Kind = s.spec.DSN.Kind()
	}
	if failure != nil {
		out.Error = failure.Error()
	}
	out.Received, out.LagBytes, out.HeldBytes = positionText(out.Kind, progress.Received), progress.LagBytes, progress.HeldBytes
	out.LagSeconds = lagSeconds(phase, progress, out.Clock)
	out.Untracked = progress.Untracked
	var stop *sources.Stop
	if errors.As(failure, &stop) && len(out.Stops) == 0 {
		out.Stops = []client.Stop{{Kind: string(stop.Kind), Table: stop.TableName, Detail: stop.Detail, Remedy: stop.Remedy, At: stop.At.Time()}}
	}
	if p := progress.Copy; p != nil && (phase == sources.PhaseCopying || phase == sources.PhaseStreaming) {
		out.Copy = &client.Copy{
			Tables: p.Tables, TablesDone: p.TablesDone, Rows: p.RowsDone, RowsEstimated: p.RowsEstimated, Bytes: p.BytesDone, Table: p.Current,
			RowsPerSecond: now.meter.rate(), SecondsLeft: now.meter.left(p.RowsEstimated),
		}
	}
}

// lagSeconds is how far the log is behind: by the source's own clock while it is heard, else by how long it has not been.
func lagSeconds(phase sources.Phase, p sources.Progress, clock time.Time) float64 {
	switch {
	case clock.IsZero():
		return -1
	case phase != sources.PhaseStreaming || p.SourceTime == 0:
		return max(0, time.Since(clock).Seconds())
	}
	return max(0, p.SourceTime.Time().Sub(clock).Seconds())
}
