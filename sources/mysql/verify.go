package mysql

import (
	"context"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// verification implements sources.Verification.
type verification struct{ view *exactView }

var _ sources.Verification = verification{}

// Verification implements sources.Database.
func (s *Source) Verification(ctx context.Context) (sources.Verification, error) {
	view, err := s.openExact(ctx, nil)
	if err != nil {
		return nil, err
	}
	return verification{view}, nil
}

func (v verification) Position() changelog.Position { return FormatPosition(v.view.at) }
func (v verification) Time() changelog.Micros       { return v.view.taken }
func (v verification) Close()                       { v.view.close() }

func (v verification) Read(ctx context.Context, version *schema.Table, f func(row []byte) error) error {
	return v.view.rows(ctx, version, f)
}
