package disklog

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Names in the folder. Stored; do not change them. See docs/formats/folder.md.
const (
	manifestName  = "MANIFEST"
	lockName      = "lock"
	logFolder     = "log"
	sideFolder    = "side"
	quarantine    = "quarantine"
	segmentSuffix = ".seg"
	sideSuffix    = ".side"
	tmpSuffix     = ".tmp"
)

func segmentName(number uint64) string { return fmt.Sprintf("%08d%s", number, segmentSuffix) }

func sideName(id uint64) string { return fmt.Sprintf("%08d%s", id, sideSuffix) }

// numberOf is the number in a file's name, false when the name is not one that this package gives.
func numberOf(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && fmt.Sprintf("%08d", n) == digits
}

func (l *Log) segmentsDir() string { return filepath.Join(l.dir, logFolder) }

func (l *Log) sidesDir() string { return filepath.Join(l.dir, logFolder, sideFolder) }

func (l *Log) quarantineDir() string { return filepath.Join(l.dir, logFolder, quarantine) }

func (l *Log) segmentPath(number uint64) string {
	return filepath.Join(l.segmentsDir(), segmentName(number))
}
