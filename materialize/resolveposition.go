package materialize

import (
	"context"
	"errors"
	"fmt"

	"cdc/changelog"
)

// errNoPositions says that the caller of Resolve gave nothing to read positions with.
var errNoPositions = errors.New("positions of sources cannot be read here")

// sourceOf is the source that the moment means: the one that it names, else the only one of the kind.
func (r *resolver) sourceOf(kind string) (changelog.SourceInfo, error) {
	var found []changelog.SourceInfo
	var names []string
	for _, s := range r.log.Catalog().Sources() {
		names = append(names, s.Name)
		if r.moment.Source == s.Name || r.moment.Source == "" && (kind == "" || s.Kind == kind) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 1 && (kind == "" || found[0].Kind == kind):
		return found[0], nil
	case len(found) == 1:
		return changelog.SourceInfo{}, fmt.Errorf("%w: source %s is a %s source, which %q does not fit",
			ErrMoment, found[0].Name, found[0].Kind, r.moment.String())
	case len(found) > 1:
		e := &NameError{Kind: "source", Name: "of " + r.moment.String()}
		for _, s := range found {
			named := r.moment
			named.Source = s.Name
			e.Matches = append(e.Matches, named.String())
		}
		return changelog.SourceInfo{}, e
	case r.moment.Source != "":
		return changelog.SourceInfo{}, &NameError{Kind: "source", Name: r.moment.Source, Nearest: nearest(r.moment.Source, names)}
	}
	return changelog.SourceInfo{}, &NameError{Kind: "source", Name: "of the kind " + kind + " for " + r.moment.String()}
}

// atPosition is the last commit of the source that is included in the position.
func (r *resolver) atPosition(ctx context.Context, kind string) (changelog.Cut, error) {
	s, err := r.sourceOf(kind)
	if err != nil {
		return changelog.Cut{}, err
	}
	if r.positions == nil {
		return changelog.Cut{}, errNoPositions
	}
	p := r.moment.Position
	if p == "" {
		if p, err = r.positions.Parse(s.Kind, r.moment.Text); err != nil {
			return changelog.Cut{}, fmt.Errorf("%w: %q: %w", ErrMoment, r.moment.String(), err)
		}
	}
	after := func(m *changelog.UnitMeta) bool { return r.positions.After(s.Kind, p, m.Position) }
	for {
		end := durableEnd(r.log)
		n, err := r.log.Search(ctx, s.ID, s.Epoch, after)
		if err != nil {
			return changelog.Cut{}, fmt.Errorf("search log: %w", err)
		}
		last, ok, err := lastUnit(ctx, r.log, s.ID, s.Epoch, min(n-1, end))
		if err != nil {
			return changelog.Cut{}, err
		}
		if n <= end && !ok {
			return changelog.Cut{}, r.beforeEpoch(ctx, &s, n)
		}
		if n <= end || ok && r.positions.Reached(s.Kind, p, last.Position) {
			return changelog.Cut{Default: last.Commit()}, nil
		}
		grown, err := r.wait(ctx, end)
		if err != nil {
			return changelog.Cut{}, err
		}
		if !grown {
			return changelog.Cut{}, r.notReached(ctx, &s, ok, &last)
		}
	}
}

func (r *resolver) beforeEpoch(ctx context.Context, s *changelog.SourceInfo, first changelog.Offset) error {
	e := &UnanswerableError{
		Moment: r.moment.String(), Why: fmt.Sprintf("it is before the first position that the log holds of source %s (epoch %d)", s.Name, s.Epoch),
	}
	var err error
	if e.Earliest, err = instantOf(ctx, r.log, first); err != nil {
		return err
	}
	if e.Latest, err = instantOf(ctx, r.log, durableEnd(r.log)); err != nil {
		return err
	}
	return e
}

func (r *resolver) notReached(ctx context.Context, s *changelog.SourceInfo, any bool, last *changelog.UnitMeta) error {
	if !any {
		return r.refuse(ctx, fmt.Sprintf("nothing of source %s (epoch %d) is in the log", s.Name, s.Epoch))
	}
	return r.refuse(ctx, fmt.Sprintf("the log has source %s only up to %s", s.Name, r.positions.Format(s.Kind, last.Position)))
}

// atTx is the commit of the transaction.
func (r *resolver) atTx(ctx context.Context) (changelog.Cut, error) {
	from := changelog.Offset(0)
	var found []changelog.UnitMeta
	for {
		end := durableEnd(r.log)
		more, err := findTx(ctx, r.log, r.moment.Source, r.moment.XID, from, end)
		if err != nil {
			return changelog.Cut{}, err
		}
		if found = append(found, more...); len(found) > 0 {
			m, err := oneTx(r.log, r.moment, found)
			return changelog.Cut{Default: m.Commit()}, err
		}
		grown, err := r.wait(ctx, end)
		if err != nil {
			return changelog.Cut{}, err
		}
		if !grown {
			return changelog.Cut{}, r.refuse(ctx, "the log holds no such transaction in the newest epoch of its sources")
		}
		from = end + 1
	}
}

// findTx are the transactions of that number from one offset to another, in the newest epochs of the sources (of all when source
// is empty).
func findTx(ctx context.Context, log changelog.Log, source string, xid uint64, from, to changelog.Offset) ([]changelog.UnitMeta, error) {
	epochs := map[changelog.SourceID]changelog.Epoch{}
	start := endOfLog
	var names []string
	for _, s := range log.Catalog().Sources() {
		names = append(names, s.Name)
		if source != "" && s.Name != source {
			continue
		}
		epochs[s.ID] = s.Epoch
		starts := log.Catalog().EpochStarts(s.ID)
		start = min(start, starts[len(starts)-1].From)
	}
	if len(epochs) == 0 {
		return nil, &NameError{Kind: "source", Name: source, Nearest: nearest(source, names)}
	}
	from = max(from, start)
	if from > to {
		return nil, nil
	}
	var found []changelog.UnitMeta
	err := eachUnit(ctx, log, changelog.CursorOptions{From: from, To: to}, func(u *changelog.Unit) error {
		m := &u.Meta
		if m.Kind == changelog.UnitTx && m.XID == xid && epochs[m.Source] == m.Epoch && m.Epoch != 0 {
			u.LoadPosition()
			found = append(found, *m)
		}
		return nil
	})
	return found, err
}

// oneTx is the only match, or a *NameError that lists them.
func oneTx(log changelog.Log, m Moment, found []changelog.UnitMeta) (changelog.UnitMeta, error) {
	if len(found) == 1 {
		return found[0], nil
	}
	e := &NameError{Kind: "transaction", Name: m.String()}
	names := map[changelog.SourceID]string{}
	for _, s := range log.Catalog().Sources() {
		names[s.ID] = s.Name
	}
	for i := range found {
		f := &found[i]
		e.Matches = append(e.Matches, fmt.Sprintf("OFFSET %d (of %s, committed %s)", f.Commit(), names[f.Source], formatTime(f.CommitTime)))
	}
	return changelog.UnitMeta{}, e
}
