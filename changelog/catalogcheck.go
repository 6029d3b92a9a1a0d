package changelog

import (
	"fmt"

	"cdc/schema"
)

// check reads the records of a unit without applying any, so that a unit is applied as a whole or not at all.
func (c *Catalog) check(records func(func(n Offset, record []byte) error) error) error {
	sources := len(c.sources)
	return records(func(n Offset, record []byte) error {
		if err := checkRecord(record, &sources); err != nil {
			return fmt.Errorf("read catalog record at offset %d: %w", n, err)
		}
		return nil
	})
}

// checkRecord reads one record. sources is the number of sources before it, and after it.
func checkRecord(record []byte, sources *int) error {
	payload := recordPayload(record)
	var err error
	switch record[0] {
	case recordSource:
		var s SourceInfo
		if s, err = decodeSource(payload); err == nil && (s.ID == 0 || int(s.ID) > *sources+1) {
			err = fmt.Errorf("%w: source number %d after %d sources", ErrUnit, s.ID, *sources)
		}
		*sources = max(*sources, int(s.ID))
	case recordTable:
		var t *schema.Table
		if t, err = schema.DecodeTable(payload); err == nil && (t.Version == 0 || t.Version > maxVersions) {
			err = fmt.Errorf("%w: table version number %d", ErrUnit, t.Version)
		}
	case recordTableState:
		_, err = decodeTableState(payload)
	case recordTag:
		_, err = decodeTag(payload)
	case recordStop:
		_, err = decodeStop(payload)
	case recordDecision:
		_, err = decodeDecision(payload)
	case recordReread:
		_, err = decodeReread(payload)
	default:
		err = fmt.Errorf("%w: unknown catalog record kind %d (written by a newer version?)", ErrUnit, record[0])
	}
	return err
}
