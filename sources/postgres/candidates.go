package postgres

import (
	"context"

	"cdc/schema"
	"cdc/sources"
)

// Candidates implements sources.Database. Partitions stand behind their roots.
func (s *Source) Candidates(ctx context.Context) ([]sources.Candidate, error) {
	c, err := s.openCatalog(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	all, err := c.candidates(ctx)
	if err != nil {
		return nil, err
	}
	var found []sources.Candidate
	for _, t := range all {
		if !s.tables.Wants(t.schema, t.name) {
			continue
		}
		identity := t.usable()
		f := sources.Candidate{
			Schema: t.schema, Name: t.name, Rows: int64(t.estimate),
			Keyed: identity == schema.IdentityKey || identity == schema.IdentityUniq,
		}
		f.Obstacle, f.Remedy = s.unfit(t, s.appendOnly.Includes(t.schema, t.name))
		found = append(found, f)
	}
	return found, nil
}
