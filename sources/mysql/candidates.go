package mysql

import (
	"context"

	"cdc/sources"
)

// Candidates implements sources.Database.
func (s *Source) Candidates(ctx context.Context) ([]sources.Candidate, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	all, err := c.tables(s.wants)
	if err != nil {
		return nil, err
	}
	found := make([]sources.Candidate, len(all))
	for i := range all {
		t := &all[i]
		found[i] = sources.Candidate{Schema: t.schema, Name: t.name, Rows: t.rows, Keyed: t.keyed(), Obstacle: t.obstacle()}
	}
	return found, nil
}
