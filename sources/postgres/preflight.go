package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"cdc/changelog"
	"cdc/sources"
)

// checkServer makes sure that the server can be captured at all.
func (s *Source) checkServer(ctx context.Context, c *catalog) error {
	if c.version < oldestVersion {
		return &sources.Unfit{
			Detail: fmt.Sprintf("the server runs PostgreSQL %d", c.version),
			Remedy: fmt.Sprintf("version %d or newer is needed", oldestVersion),
		}
	}
	r, err := c.one(ctx, `SELECT pg_catalog.current_setting('wal_level')`)
	if err != nil {
		return err
	}
	if level := r[0].text(); level != "logical" {
		return &sources.Unfit{
			Detail: "the server's wal_level is " + level,
			Remedy: "run: ALTER SYSTEM SET wal_level = 'logical'; and restart the server",
		}
	}
	return nil
}

// server is what the server says it is.
type server struct {
	system   string
	timeline uint32
	end      LSN
	database string
}

func identify(ctx context.Context, ws *walsender) (server, error) {
	rows, err := command(ctx, ws.PgConn, "IDENTIFY_SYSTEM")
	if err != nil {
		return server{}, fmt.Errorf("identify server: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) < 4 {
		return server{}, fmt.Errorf("identify server: unexpected answer")
	}
	r := rows[0]
	return server{system: r[0].text(), timeline: uint32(r[1].int()), end: r[2].lsn(), database: r[3].text()}, nil
}

// identity is how the log knows the source in this epoch.
type identity struct {
	slot     string
	pubs     publications
	position Position // the last that the log holds; zero before the copy
}

// identityOf takes the names from the log rather than from the options, which may have changed since.
func (s *Source) identityOf(w *sources.Writer) (identity, error) {
	info := w.Source()
	id := identity{slot: info.Find(factSlot), pubs: s.publications()}
	if id.slot == "" {
		id.slot = s.slot()
	}
	if s.o.Publication == "" {
		recorded := info.Find(factPublication)
		if recorded != "" && recorded != id.slot {
			id.pubs = publications{main: recorded}
		}
	}
	p := w.Progress()
	if p.Position == "" || p.Epoch != info.Epoch {
		return id, nil
	}
	var err error
	id.position, err = ParsePosition(p.Position)
	return id, err
}

// introduce records the source, or its next epoch, before anything is made at the server: the name of the slot is then known to
// whoever comes after a crash.
func (s *Source) introduce(ctx context.Context, c *catalog, w *sources.Writer, is server) error {
	info := w.Source()
	if info.Epoch != 0 && !s.nextEpochWanted(w) {
		return s.checkIdentity(w, is)
	}
	slot, before := s.slot(), info.Find(factSlot)
	if slot != before {
		rows, err := c.query(ctx, `SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`, slot)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return &sources.Unfit{
				Detail: fmt.Sprintf("a slot %q that this log has not made exists already", slot),
				Remedy: "choose another slot name, or if nobody uses it, run: SELECT pg_drop_replication_slot(" + quoteText(slot) + ");",
			}
		}
	}
	if err := s.preparePublication(ctx, c); err != nil {
		return err
	}
	if before != "" && slot != before {
		if err := c.dropSlot(ctx, before); err != nil { // nobody would read it again, and it holds WAL
			return err
		}
	}
	s.acked.reset(0)
	return w.Introduce(ctx, Kind, []changelog.Fact{
		{Name: factSystem, Value: is.system},
		{Name: factTimeline, Value: strconv.FormatUint(uint64(is.timeline), 10)},
		{Name: factSlot, Value: slot},
		{Name: factPublication, Value: s.publications().main},
		{Name: factDatabase, Value: is.database},
	})
}

// nextEpochWanted reports whether an operator has decided, in this epoch, that the source's history begins anew.
func (s *Source) nextEpochWanted(w *sources.Writer) bool {
	info := w.Source()
	starts := w.Log().Catalog().EpochStarts(info.ID)
	if len(starts) == 0 {
		return false
	}
	since := starts[len(starts)-1].From
	for _, d := range w.Log().Catalog().Decisions() {
		if d.Source == info.ID && d.Table == 0 && d.Offset > since && (d.Action == actionRecopy || d.Action == actionAcceptGap) {
			return true
		}
	}
	return false
}

// Actions of decisions that begin a new epoch, or copy one table again.
const (
	actionRecopy    = "recopy"
	actionAcceptGap = "accept-gap"
)

// checkIdentity compares the server with the one that the log holds.
func (s *Source) checkIdentity(w *sources.Writer, is server) error {
	info := w.Source()
	if want := info.Find(factSystem); want != is.system {
		return &sources.Stop{Unrecorded: true, Stop: changelog.Stop{
			Kind: changelog.StopDiverged, Position: w.Progress().Position,
			Detail: fmt.Sprintf("the server is another one: its system identifier is %s, the log was made from %s", is.system, want),
			Remedy: "point the DSN at the server that the log was made from, or capture this one under another name",
		}}
	}
	if want := info.Find(factDatabase); want != "" && want != is.database {
		return &sources.Stop{Unrecorded: true, Stop: changelog.Stop{
			Kind: changelog.StopDiverged, Position: w.Progress().Position,
			Detail: fmt.Sprintf("the database is %q, the log was made from %q", is.database, want),
			Remedy: "point the DSN at the database that the log was made from, or capture this one under another name",
		}}
	}
	return nil
}

// checkTimeline makes sure that what the log holds has happened on the server's timeline too.
func (s *Source) checkTimeline(ctx context.Context, ws *walsender, is server, ours Position) error {
	diverged := func(detail string) error {
		return &sources.Stop{Stop: changelog.Stop{
			Kind: changelog.StopDiverged, Position: FormatPosition(ours), Detail: detail,
			Remedy: s.resolveRemedy(),
		}}
	}
	switch {
	case is.timeline == ours.Timeline:
		if is.end < ours.End {
			return diverged(fmt.Sprintf("the server's WAL ends at %s, the log holds changes up to %s: it was restored from a backup",
				is.end, ours.End))
		}
		return nil
	case is.timeline < ours.Timeline:
		return diverged(fmt.Sprintf("the server is on timeline %d, the log holds changes of timeline %d", is.timeline, ours.Timeline))
	}
	left, found, err := timelineEnd(ctx, ws, is.timeline, ours.Timeline)
	if err != nil {
		return err
	}
	if !found {
		return diverged(fmt.Sprintf("timeline %d of the server does not come from timeline %d, which the log holds", is.timeline, ours.Timeline))
	}
	if left < ours.End {
		return diverged(fmt.Sprintf("the server left timeline %d at %s, the log holds changes up to %s that never happened on timeline %d",
			ours.Timeline, left, ours.End, is.timeline))
	}
	return nil
}

// timelineEnd is where the history of timeline now left timeline ours.
func timelineEnd(ctx context.Context, ws *walsender, now, ours uint32) (left LSN, found bool, err error) {
	rows, err := command(ctx, ws.PgConn, "TIMELINE_HISTORY "+strconv.FormatUint(uint64(now), 10))
	if err != nil {
		return 0, false, fmt.Errorf("read timeline history: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return 0, false, fmt.Errorf("read timeline history: unexpected answer")
	}
	return findTimeline(rows[0][1].text(), ours)
}

// findTimeline looks a timeline up in a history file: lines of timeline, LSN at which it was left, reason.
func findTimeline(history string, timeline uint32) (left LSN, found bool, err error) {
	for line := range strings.Lines(history) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || fields[0] != strconv.FormatUint(uint64(timeline), 10) {
			continue
		}
		left, err := ParseLSN(fields[1])
		return left, err == nil, err
	}
	return 0, false, nil
}
