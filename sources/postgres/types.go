package postgres

import (
	"context"
	"fmt"
	"sync"

	"cdc/schema"
)

// Numbers of built-in types (pg_type.dat); they never change.
const (
	oidBool        = 16
	oidBytea       = 17
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt2Vector  = 22
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidXID         = 28
	oidCID         = 29
	oidOIDVector   = 30
	oidJSON        = 114
	oidXML         = 142
	oidCIDR        = 650
	oidFloat4      = 700
	oidFloat8      = 701
	oidMacaddr8    = 774
	oidMoney       = 790
	oidMacaddr     = 829
	oidInet        = 869
	oidBPChar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidInterval    = 1186
	oidTimeTZ      = 1266
	oidBit         = 1560
	oidVarbit      = 1562
	oidNumeric     = 1700
	oidUUID        = 2950
	oidLSN         = 3220
	oidJSONB       = 3802
	oidXID8        = 5069
)

// typeInfo is what the catalogue says about a type.
type typeInfo struct {
	oid  uint32
	name string
	// kind is typtype: b base, c composite, d domain, e enum, r range, m multirange, p pseudo.
	kind byte
	// base and baseMod are a domain's own type.
	base    uint32
	baseMod int32
	// elem is the element type of a true array, 0 for all others.
	elem  uint32
	delim byte
}

// typeCache keeps types by number. Types are not dropped under a column that uses them, and a changed enum keeps its number. It is
// safe for concurrent use: the stream and the watcher of the catalogue share one.
type typeCache struct {
	session *session
	mu      sync.RWMutex // guards types
	types   map[uint32]typeInfo
	// moneyDigits is the number of digits after the point of the server's money values.
	moneyDigits int32
}

const typesSQL = `
SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, t.typdelim,
       CASE WHEN t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc THEN t.typelem ELSE 0 END
FROM pg_catalog.pg_type t WHERE t.oid = ANY($1::oid[])`

// load makes sure that the types, their bases and their elements are known.
func (c *typeCache) load(ctx context.Context, oids []uint32) error {
	for len(oids) > 0 {
		missing := c.missing(oids)
		if len(missing) == 0 {
			return nil
		}
		rows, err := c.session.query(ctx, typesSQL, oidArray(missing))
		if err != nil {
			return fmt.Errorf("read types: %w", err)
		}
		oids = nil
		for _, r := range rows {
			t := typeInfo{
				oid: uint32(r[0].int()), name: r[1].text(), kind: r[2][0], base: uint32(r[3].int()), baseMod: int32(r[4].int()),
				elem: uint32(r[6].int()), delim: ',',
			}
			if len(r[5]) > 0 {
				t.delim = r[5][0]
			}
			c.add(t)
			oids = append(oids, t.base, t.elem)
		}
	}
	return nil
}

// missing are the types that are not known yet.
func (c *typeCache) missing(oids []uint32) []uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var missing []uint32
	for _, oid := range oids {
		if _, ok := c.types[oid]; !ok && oid != 0 {
			missing = append(missing, oid)
		}
	}
	return missing
}

func (c *typeCache) add(t typeInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.types[t.oid] = t
}

// resolved is a column's type with its domains taken off.
type resolved struct {
	info typeInfo
	mod  int32
}

// maxDomainDepth bounds domains over domains.
const maxDomainDepth = 64

func (c *typeCache) resolve(oid uint32, mod int32) (resolved, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for range maxDomainDepth {
		t, ok := c.types[oid]
		if !ok {
			return resolved{}, false
		}
		if t.kind != 'd' {
			return resolved{info: t, mod: mod}, true
		}
		oid, mod = t.base, t.baseMod
	}
	return resolved{}, false
}

// kindsOf are the kinds of the built-in types that are stored as more than their text.
var kindsOf = map[uint32]schema.Kind{
	oidBool: schema.Bool, oidBytea: schema.Bytes, oidInt2: schema.Int16, oidInt4: schema.Int32, oidInt8: schema.Int64,
	oidOID: schema.Uint32, oidXID: schema.Uint32, oidCID: schema.Uint32, oidXID8: schema.Uint64,
	oidFloat4: schema.Float32, oidFloat8: schema.Float64, oidNumeric: schema.Decimal, oidMoney: schema.Decimal,
	oidDate: schema.Date, oidTime: schema.Time, oidTimeTZ: schema.TimeTZ, oidTimestamp: schema.Timestamp,
	oidTimestampTZ: schema.TimestampTZ, oidInterval: schema.Interval, oidUUID: schema.UUID, oidJSON: schema.JSON,
	oidJSONB: schema.JSON, oidBit: schema.Bit, oidVarbit: schema.Bit,
	oidText: schema.Text, oidVarchar: schema.Text, oidBPChar: schema.Text, oidName: schema.Text, oidChar: schema.Text,
	oidXML: schema.Text, oidInet: schema.Text, oidCIDR: schema.Text, oidMacaddr: schema.Text, oidMacaddr8: schema.Text,
	oidLSN: schema.Text,
}

// describe fills in how a column of the type is stored.
func (c *typeCache) describe(column *schema.Column, oid uint32, mod int32) {
	column.SourceType = oid
	column.Kind = schema.Raw
	t, ok := c.resolve(oid, mod)
	if !ok {
		return
	}
	switch {
	case t.info.kind == 'e':
		column.Kind = schema.Enum
	case isCitext(t.info):
		column.Kind, column.Fold = schema.Text, true
	default:
		if kind, ok := kindsOf[t.info.oid]; ok {
			column.Kind = kind
		}
	}
	switch t.info.oid {
	case oidNumeric:
		column.Precision, column.Scale = numericModifier(t.mod)
	case oidMoney:
		column.Precision, column.Scale = moneyPrecision, c.moneyDigits
	case oidBit, oidVarbit:
		column.Precision = max(t.mod, 0)
	}
}

// moneyPrecision holds every 64-bit integer.
const moneyPrecision = 19

// isCitext recognises the extension's type by its name, as its number differs between databases.
func isCitext(t typeInfo) bool { return t.kind == 'b' && t.name == "citext" }

// numericModifier unpacks the modifier of numeric(p,s); the scale is signed and 11 bits wide.
func numericModifier(mod int32) (precision, scale int32) {
	const header = 4
	if mod < header {
		return 0, 0
	}
	mod -= header
	return mod >> 16 & 0xffff, (mod&0x7ff ^ 1024) - 1024
}
