package materialize

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cdc/changelog"
)

// DefaultWait is how long Resolve waits for the log to pass a moment.
const DefaultWait = 10 * time.Second

// Positions knows the positions of sources, which this package does not look into. The caller supplies it. kind is
// changelog.SourceInfo.Kind. Implementations are safe for concurrent use.
type Positions interface {
	// Parse reads a position as a person writes it after LSN or GTID.
	Parse(kind, text string) (changelog.Position, error)
	// After reports whether the transaction whose unit stands at the position unit is not included in p, as Parse returned it. It
	// must be monotone: once true, true for all later units of the epoch.
	After(kind string, p, unit changelog.Position) bool
	// Reached reports whether a source that stands at the position unit has passed p: nothing that is included in p can come
	// after it.
	Reached(kind string, p, unit changelog.Position) bool
	// Format writes the position of a unit for people.
	Format(kind string, p changelog.Position) string
}

// ResolveOptions say how a moment is resolved.
type ResolveOptions struct {
	// Wait is how long to wait for the log to pass the moment: DefaultWait when zero, not at all when negative.
	Wait time.Duration
	// Positions is needed for LSN and GTID; without it positions are printed as they are.
	Positions Positions
	// Sources are the names of the sources that must have passed a time; nil is all. Of the others, what there is is taken, and
	// their Completeness says that it is not sealed. A source that an operator dropped is never waited for.
	Sources []string
}

// Resolved is a moment with what it means.
type Resolved struct {
	Moment Moment
	Cut    changelog.Cut
	// Sources says how complete each source is at the cut, by number.
	Sources []Completeness
}

// Completeness is how far a source had come at a cut.
type Completeness struct {
	Source changelog.SourceInfo
	// Offset is the cut's offset for the source.
	Offset changelog.Offset
	// Clock is the source's clock after its last unit in the cut, zero when the cut holds none.
	Clock changelog.Micros
	// Position is that unit's position, formatted.
	Position string
	// Sealed says that no later append to the log can change what the moment means for the source. Resolve refuses the others,
	// but for now and no time ago, which mean another moment each time, and for sources that ResolveOptions.Sources leaves out.
	Sealed bool
}

// Resolve says which prefix of the log the moment means, for each source.
//
// OFFSET, TAG and TX give the same offset for all sources, resolved down to a commit. An LSN or GTID gives its source the last
// commit that is included in it, and the others that commit's offset. A timestamp T gives each source the longest prefix that
// holds no unit of that source whose clock is later than T. It is sealed once the source's clock has passed T; at T itself another
// commit of the same microsecond may still come.
//
// A moment that the log has not passed yet is waited for, then refused with an *UnanswerableError.
func Resolve(ctx context.Context, log changelog.Log, m Moment, o ResolveOptions) (Resolved, error) {
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	r := &resolver{log: log, moment: m, positions: o.Positions, needed: o.Sources, open: map[changelog.SourceID]bool{}}
	if o.Wait > 0 {
		patient, cancel := context.WithTimeout(ctx, o.Wait)
		defer cancel()
		r.patient = patient
	}
	out := Resolved{Moment: m}
	var err error
	if out.Cut, err = r.cut(ctx); err != nil {
		return out, err
	}
	out.Sources, err = r.completeness(ctx, out.Cut)
	return out, err
}

// resolver resolves one moment.
type resolver struct {
	log       changelog.Log
	moment    Moment
	positions Positions
	// patient ends when it has been waited for long enough; nil when there is no waiting.
	patient context.Context
	// needed are the sources that must have passed a time, nil for all; open those that have not, and need not.
	needed []string
	open   map[changelog.SourceID]bool
}

func (r *resolver) cut(ctx context.Context) (changelog.Cut, error) {
	switch r.moment.Kind {
	case MomentOffset:
		return r.atOffset(ctx, r.moment.Offset)
	case MomentTag:
		return r.atTag(ctx)
	case MomentTx:
		return r.atTx(ctx)
	case MomentLSN:
		return r.atPosition(ctx, "postgres")
	case MomentGTID:
		return r.atPosition(ctx, "mysql")
	case MomentTime, MomentAgo:
		return r.atTime(ctx)
	case MomentNow:
	}
	return changelog.Cut{Default: durableEnd(r.log)}, nil
}

// wait blocks until the log has grown past the offset, and reports whether it did in time.
func (r *resolver) wait(ctx context.Context, past changelog.Offset) (bool, error) {
	if r.patient == nil {
		return false, nil
	}
	err := r.log.WaitDurable(r.patient, past+1)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case r.patient.Err() != nil:
		return false, nil
	}
	return false, fmt.Errorf("wait for the log: %w", err)
}

// refuse says that the log has not passed the moment, and what it can answer.
func (r *resolver) refuse(ctx context.Context, why string) error {
	e := &UnanswerableError{Moment: r.moment.String(), Why: why}
	b := r.log.Bounds()
	var err error
	if e.Earliest, err = instantOf(ctx, r.log, b.First); err != nil {
		return err
	}
	if e.Latest, err = instantOf(ctx, r.log, b.Next-1); err != nil {
		return err
	}
	return e
}

// atOffset is the last commit at or before the offset.
func (r *resolver) atOffset(ctx context.Context, n changelog.Offset) (changelog.Cut, error) {
	for n > durableEnd(r.log) {
		end := durableEnd(r.log)
		grown, err := r.wait(ctx, end)
		if err != nil {
			return changelog.Cut{}, err
		}
		if !grown {
			return changelog.Cut{}, r.refuse(ctx, fmt.Sprintf("the log ends at offset %d", end))
		}
	}
	if n+1 < r.log.Bounds().First {
		return changelog.Cut{}, r.refuse(ctx, fmt.Sprintf("the log begins at offset %d", r.log.Bounds().First))
	}
	commit, err := commitBefore(ctx, r.log, n)
	return changelog.Cut{Default: commit}, err
}

func (r *resolver) atTag(ctx context.Context) (changelog.Cut, error) {
	n, ok := r.log.Catalog().Tag(r.moment.Text)
	if ok {
		return r.atOffset(ctx, n)
	}
	var names []string
	for _, t := range r.log.Catalog().Tags() {
		names = append(names, t.Name)
	}
	return changelog.Cut{}, &NameError{Kind: "tag", Name: r.moment.Text, Nearest: nearest(r.moment.Text, names)}
}

// atTime is, for each source, the longest prefix without a unit whose clock is later.
func (r *resolver) atTime(ctx context.Context) (changelog.Cut, error) {
	cut := changelog.Cut{Default: durableEnd(r.log)}
	for _, s := range r.log.Catalog().Sources() {
		at := r.moment.Time
		if r.moment.Kind == MomentAgo {
			last, ok, err := lastUnit(ctx, r.log, s.ID, 0, durableEnd(r.log))
			if err != nil {
				return cut, err
			}
			if !ok {
				continue
			}
			at = last.Clock - changelog.Micros(r.moment.Ago.Microseconds())
		}
		n, err := r.sourceAtTime(ctx, &s, at)
		if err != nil {
			return cut, err
		}
		cut.Sources = append(cut.Sources, changelog.SourceCut{Source: s.ID, Offset: n})
	}
	return cut, nil
}

func (r *resolver) sourceAtTime(ctx context.Context, s *changelog.SourceInfo, t changelog.Micros) (changelog.Offset, error) {
	later := func(m *changelog.UnitMeta) bool { return m.Clock > t }
	for {
		end := durableEnd(r.log)
		n, err := r.log.Search(ctx, s.ID, 0, later)
		if err != nil {
			return 0, fmt.Errorf("search log: %w", err)
		}
		if n <= end {
			if err := r.hole(ctx, s, n, t); err != nil {
				return 0, err
			}
			return commitBefore(ctx, r.log, n-1)
		}
		if r.moment.Kind == MomentAgo && r.moment.Ago == 0 {
			r.open[s.ID] = true // another commit of that microsecond may still come
			return end, nil
		}
		if dropped(r.log.Catalog(), s.ID) {
			return end, nil
		}
		if r.needed != nil && !slices.Contains(r.needed, s.Name) {
			r.open[s.ID] = true
			return end, nil
		}
		grown, err := r.wait(ctx, end)
		if err != nil {
			return 0, err
		}
		if !grown {
			return 0, r.notSealed(ctx, s)
		}
	}
}

// dropped reports whether an operator has dropped the source, and it has not come back since.
func dropped(c *changelog.Catalog, id changelog.SourceID) bool {
	out := false
	for _, d := range c.Decisions() {
		if d.Source == id && d.Action == "drop" && d.Table == 0 {
			out = d.Offset > c.Progress(id).Commit
		}
	}
	return out
}

// notSealed says that a source's clock has not passed the moment.
func (r *resolver) notSealed(ctx context.Context, s *changelog.SourceInfo) error {
	last, ok, err := lastUnit(ctx, r.log, s.ID, 0, durableEnd(r.log))
	if err != nil {
		return err
	}
	if !ok {
		return r.refuse(ctx, fmt.Sprintf("nothing of source %s is in the log", s.Name))
	}
	e := &UnanswerableError{
		Moment: r.moment.String(), Latest: Instant{Offset: last.Commit(), Clock: last.Clock - 1},
		Why: fmt.Sprintf("source %s has come to %s by its own clock, and what is committed later may still belong to the moment",
			s.Name, formatTime(last.Clock)),
	}
	first, err := r.log.Search(ctx, s.ID, 0, func(*changelog.UnitMeta) bool { return true })
	if err != nil {
		return fmt.Errorf("search log: %w", err)
	}
	if e.Earliest, err = instantOf(ctx, r.log, first); err != nil {
		return err
	}
	return e
}

// completeness says how far each source had come at the cut.
func (r *resolver) completeness(ctx context.Context, cut changelog.Cut) ([]Completeness, error) {
	var all []Completeness
	for _, s := range r.log.Catalog().Sources() {
		c := Completeness{Source: s, Offset: cut.At(s.ID), Sealed: r.moment.Kind != MomentNow && !r.open[s.ID]}
		m, ok, err := lastUnit(ctx, r.log, s.ID, 0, c.Offset)
		if err != nil {
			return nil, err
		}
		if ok {
			c.Clock = m.Clock
			c.Position = string(m.Position)
			if r.positions != nil {
				c.Position = r.positions.Format(s.Kind, m.Position)
			}
		}
		all = append(all, c)
	}
	return all, nil
}
