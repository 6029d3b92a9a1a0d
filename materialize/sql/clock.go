//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"fmt"
	"time"

	"cdc/changelog"
	"cdc/materialize"
)

// clock is what now() means in a query: the one moment that all its tables are read at, or the session's when there are several.
func (b *binder) clock(ctx context.Context, bounds []bound) (time.Time, error) {
	resolved, err := b.clockMoment(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if resolved.Moment.Kind == materialize.MomentTime {
		return resolved.Moment.Time.Time(), nil
	}
	var all, read changelog.Micros
	for _, c := range resolved.Sources {
		all = max(all, c.Clock)
		for i := range bounds {
			if bounds[i].table.Source == c.Source.Name {
				read = max(read, c.Clock)
			}
		}
	}
	if read == 0 {
		read = all
	}
	if read == 0 { // the log is empty, and so is every answer
		return time.Now(), nil
	}
	return read.Time(), nil
}

func (b *binder) clockMoment(ctx context.Context) (*materialize.Resolved, error) {
	if len(b.moments) == 1 {
		return &b.moments[0], nil
	}
	known := len(b.moments)
	resolved, err := b.moment(ctx, b.asOf, -1)
	if err != nil {
		return nil, err
	}
	clock := *resolved
	if known > 0 {
		b.moments = b.moments[:known] // no table is read at it
	}
	return &clock, nil
}

// pinClock puts macros before the functions that tell the time.
func (d *duck) pinClock(ctx context.Context, now time.Time) error {
	if now = now.UTC(); now.Equal(d.clock) {
		return nil
	}
	d.clock = time.Time{}
	date, clock := now.Format("2006-01-02"), now.Format("15:04:05.000000")
	values := map[string]string{
		"TIMESTAMPTZ": date + " " + clock + "+00", "TIMESTAMP": date + " " + clock, "DATE": date, "TIMETZ": clock + "+00", "TIME": clock,
	}
	for name, duck := range clockFunctions {
		macro := fmt.Sprintf("CREATE OR REPLACE TEMP MACRO %s() AS %s %s", quoteIdent(name), duck, quoteText(values[duck]))
		if err := d.exec(ctx, macro); err != nil {
			return fmt.Errorf("pin %s: %w", name, err)
		}
	}
	// The age of one moment is counted from today.
	err := d.exec(ctx, fmt.Sprintf(`CREATE OR REPLACE TEMP MACRO age(a) AS system.main.age(TIMESTAMP '%s 00:00:00', a),
		(a, b) AS system.main.age(a, b)`, date))
	if err == nil {
		d.clock = now
	}
	return err
}
