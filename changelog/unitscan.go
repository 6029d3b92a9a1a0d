package changelog

import (
	"encoding/binary"
	"fmt"

	"cdc/schema"
)

// ChangeVersions calls f with the table version of each change that lies in the unit, messages left out, without looking at the
// rows. It is for indexes; changes in a side segment are not seen.
func (u *Unit) ChangeVersions(f func(schema.VersionID)) error {
	rest := u.changes
	for len(rest) > 0 {
		size, err := recordSize(rest)
		if err != nil {
			return err
		}
		record := rest[:size]
		rest = rest[size:]
		if record[0] != recordChange {
			continue
		}
		payload := recordPayload(record)
		if len(payload) < 3 {
			return fmt.Errorf("%w: change of %d bytes", ErrUnit, len(payload))
		}
		version, n := binary.Uvarint(payload[2:])
		if n <= 0 || version > 1<<32-1 {
			return fmt.Errorf("%w: change without a table version", ErrUnit)
		}
		f(schema.VersionID(version))
	}
	return nil
}
