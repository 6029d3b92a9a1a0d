package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"cdc/changelog"
)

// Names within the folder. Stored; do not change them.
const (
	stateFolder   = "_cdc"
	workingFolder = "unfinished"
	lockFile      = "lock"
	commitFile    = "commit.json"
)

func (o *Options) state(name string) string { return filepath.Join(o.Dir, stateFolder, name) }
func (o *Options) working(name string) string {
	return filepath.Join(o.Dir, stateFolder, workingFolder, name)
}

func (o *Options) final(name string) string { return filepath.Join(o.Dir, filepath.FromSlash(name)) }

// temporaryName is no name of an earlier round: those began after earlier units.
func temporaryName(after changelog.Offset, file int) string {
	return fmt.Sprintf("%020d-%d", after, file)
}

// finalName sorts as the changes do.
func finalName(stream string, first, last changelog.Offset, extension string) string {
	return fmt.Sprintf("%s/%020d-%020d%s", FolderName(stream), first, last, extension)
}

// maxNameBytes is the longest name of a folder that is used as it is; file systems take 255.
const maxNameBytes = 240

// FolderName is the name of the folder that a stream's files are in. Letters, digits, '.', '-' and '_' stay, of others the bytes are
// written as '%' and two digits, and so is a '.' or '_' in front, for which many readers pass over a file. A name that is too long
// is cut, and ends with a hash of the whole.
func FolderName(stream string) string {
	var name strings.Builder
	for i, c := range stream {
		plain := unicode.IsLetter(c) || unicode.IsDigit(c) || c == '-' || i > 0 && (c == '.' || c == '_')
		if _, size := utf8.DecodeRuneInString(stream[i:]); plain && c != utf8.RuneError {
			name.WriteRune(c)
		} else {
			for _, b := range []byte(stream[i : i+size]) {
				fmt.Fprintf(&name, "%%%02X", b)
			}
		}
	}
	if name.Len() == 0 {
		return "%"
	}
	if name.Len() <= maxNameBytes {
		return name.String()
	}
	sum := sha256.Sum256([]byte(stream))
	hash := "%" + hex.EncodeToString(sum[:16])
	return strings.ToValidUTF8(name.String()[:maxNameBytes-len(hash)], "") + hash
}
