package materialize

import (
	"context"
	"fmt"
	"slices"

	"cdc/changelog"
)

// hole returns an *UnanswerableError when the time lies between two epochs of the source: what was committed there is not in the
// log, so the last prefix before it would pass off an older state as that moment's. next is the source's first commit after the
// time.
func (r *resolver) hole(ctx context.Context, s *changelog.SourceInfo, next changelog.Offset, t changelog.Micros) error {
	after, ok, err := unitAt(ctx, r.log, next)
	if err != nil || !ok {
		return err
	}
	before, ok, err := lastUnit(ctx, r.log, s.ID, 0, next-1)
	if err != nil || !ok || before.Epoch == after.Epoch || t < before.Clock {
		return err
	}
	if r.needed != nil && !slices.Contains(r.needed, s.Name) {
		r.open[s.ID] = true
		return nil
	}
	why := fmt.Sprintf("the log has a hole in source %s: epoch %d ends at %s and epoch %d begins at %s",
		s.Name, before.Epoch, formatTime(before.Clock), after.Epoch, formatTime(after.Clock))
	for _, stop := range r.log.Catalog().Stops() {
		if stop.Source == s.ID && stop.Epoch == before.Epoch && stop.Table == 0 {
			why += fmt.Sprintf(" (%s)", stop.Kind)
			break
		}
	}
	return r.refuse(ctx, why)
}
