package binlog

import (
	"encoding/binary"
	"math/bits"

	"cdc/sources/mysql/value"
)

// parse reads an event of any type to its end.
func parse(e Event, f *Format, z *Inflater) (any, error) {
	switch e.Type {
	case TypeFormatDescription:
		return ParseFormat(e)
	case TypeRotate:
		return ParseRotate(e)
	case TypeQuery, TypeMariaQueryCompressed:
		return ParseQuery(e, z)
	case TypeXID:
		return ParseXID(e)
	case TypeGTID, TypeGTIDTagged, TypeAnonymousGTID:
		return ParseGTID(e)
	case TypePreviousGTIDs:
		return ParsePreviousGTIDs(e)
	case TypeMariaGTID:
		return ParseMariaGTIDEvent(e)
	case TypeMariaGTIDList:
		return ParseMariaGTIDList(e)
	case TypeMariaBinlogCheckpoint:
		return ParseBinlogCheckpoint(e)
	case TypeMariaStartEncryption:
		return ParseStartEncryption(e)
	case TypeRowsQuery, TypeMariaAnnotateRows:
		return ParseRowsQuery(e)
	case TypeHeartbeat, TypeHeartbeatV2:
		return ParseHeartbeat(e)
	case TypeIncident:
		return ParseIncident(e)
	case TypeViewChange:
		return ParseViewChange(e)
	case TypeXAPrepare:
		return ParseXAPrepare(e)
	case TypeTransactionPayload:
		return parsePayload(e)
	case TypeIntVar:
		return ParseIntVar(e)
	case TypeRand:
		return ParseRand(e)
	case TypeUserVar:
		return ParseUserVar(e)
	case TypeBeginLoadQuery, TypeAppendBlock, TypeDeleteFile:
		return ParseLoadBlock(e)
	case TypeExecuteLoadQuery:
		return ParseLoadQuery(e)
	case TypeTableMap:
		m, err := ParseTableMap(e)
		if err == nil {
			_, _, err = m.Columns(f)
		}
		return m, err
	}
	if e.Type.IsRows() {
		return ParseRows(e, z)
	}
	return nil, nil
}

// countImages walks through the images of a row event and counts them. It knows of values only how long they are.
func countImages(rows *Rows, columns []value.Column) (n int, err error) {
	json := 0
	for i := range columns {
		if columns[i].Type == value.TypeJSON {
			json++
		}
	}
	images := rows.Images(json)
	for images.Next() {
		images.Skip(skipImage(&images.Image, columns))
		n++
	}
	return n, images.Err()
}

func skipImage(im *Image, columns []value.Column) []byte {
	r := reader{b: im.Data}
	nulls := r.take((countBits(im.Present, len(columns)) + 7) / 8)
	place := 0
	for i := range columns {
		if im.Present[i/8]&(1<<(i%8)) == 0 {
			continue
		}
		if nulls == nil || nulls[place/8]&(1<<(place%8)) == 0 {
			r.take(valueBytes(&r, &columns[i]))
		}
		place++
	}
	if r.bad {
		return im.Data // an image that ends before it begins is refused
	}
	return r.b
}

func valueBytes(r *reader, c *value.Column) int {
	length := func(width int) int {
		var b [8]byte
		copy(b[:], r.take(width))
		return int(binary.LittleEndian.Uint64(b[:]))
	}
	switch c.Type {
	case value.TypeTiny, value.TypeYear:
		return 1
	case value.TypeShort:
		return 2
	case value.TypeInt24, value.TypeDate, value.TypeNewDate, value.TypeTime:
		return 3
	case value.TypeLong, value.TypeFloat, value.TypeTimestamp:
		return 4
	case value.TypeLongLong, value.TypeDouble, value.TypeDateTime:
		return 8
	case value.TypeTimestamp2:
		return 4 + int(c.Meta+1)/2
	case value.TypeDateTime2:
		return 5 + int(c.Meta+1)/2
	case value.TypeTime2:
		return 3 + int(c.Meta+1)/2
	case value.TypeEnum, value.TypeSet:
		return int(c.Meta)
	case value.TypeBit:
		return int(c.Meta+7) / 8
	case value.TypeNewDecimal:
		digits := [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}
		whole, scale := int(c.Meta>>8-c.Meta&0xff), int(c.Meta&0xff)
		return whole/9*4 + digits[whole%9] + scale/9*4 + digits[scale%9]
	case value.TypeVarchar, value.TypeVarString, value.TypeString, value.TypeVarcharZip:
		return length(1 + bits.Len16(c.Meta>>8)/bits.Len16(c.Meta>>8|1))
	case value.TypeBlob, value.TypeBlobZip, value.TypeJSON, value.TypeGeometry, value.TypeVector:
		return length(int(c.Meta))
	}
	return 0
}
