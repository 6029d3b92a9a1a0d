package postgres

import (
	"context"
	"fmt"

	"cdc/sources"
)

// Drop implements sources.Database: the slot goes, and its publications unless the user named one. A slot that a session uses is
// refused.
func (s *Source) Drop(ctx context.Context) (dropped []string, err error) {
	c, err := s.openCatalog(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	slot, ok, err := c.readSlot(ctx, s.slot())
	switch {
	case err != nil:
		return nil, err
	case ok && slot.activePID != 0:
		who, _, err := s.holder(ctx, c, slot.activePID)
		if err != nil {
			return nil, err
		}
		return nil, &sources.Unfit{Detail: fmt.Sprintf("slot %q is in use by %s", s.slot(), who), Remedy: "stop the capture first"}
	case ok:
		if err := c.dropSlot(ctx, s.slot()); err != nil {
			return nil, err
		}
		dropped = append(dropped, "slot "+s.slot())
	}
	pubs := s.publications()
	if !pubs.own {
		return dropped, nil
	}
	for _, name := range []string{pubs.main, pubs.main + insertsSuffix} {
		found, err := c.query(ctx, `SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = $1`, name)
		if err != nil || len(found) == 0 {
			if err != nil {
				return dropped, err
			}
			continue
		}
		if err := c.exec(ctx, "DROP PUBLICATION "+quoteName(name)); err != nil {
			return dropped, fmt.Errorf("drop publication %q: %w", name, err)
		}
		dropped = append(dropped, "publication "+name)
	}
	return dropped, nil
}
