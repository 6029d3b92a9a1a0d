package disklog

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"cdc/changelog"
	"cdc/changelog/vfs"
)

// manifest says what the folder must hold at least, so that the loss of a whole file, or of a part that was durable, is noticed. It
// is written when the log is opened or closed and when a segment begins or is sealed. The segments hold all that it says but for that: a
// manifest that is lost is made again.
type manifest struct {
	id      [16]byte
	active  uint64
	durable changelog.Offset
	sealed  []sealedEntry
}

// sealedEntry names a sealed segment: its offsets [first, next) and the hash of its footer.
type sealedEntry struct {
	number      uint64
	first, next changelog.Offset
	footer      [32]byte
}

// The first line. Stored; a change of the format takes the next number.
const manifestTitle = "cdc log manifest 1"

// maxManifestBytes bounds a manifest: a million segments.
const maxManifestBytes = 128 << 20

var manifestTable = crc32.MakeTable(crc32.Castagnoli)

// encode is the text of the manifest. It ends with the checksum of all lines before.
func (m *manifest) encode() []byte {
	b := fmt.Appendf(nil, "%s\nid %x\nactive %d\ndurable %d\n", manifestTitle, m.id, m.active, m.durable)
	for _, s := range m.sealed {
		b = fmt.Appendf(b, "sealed %d %d %d %x\n", s.number, s.first, s.next, s.footer)
	}
	return fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, manifestTable))
}

// decodeManifest reads the text of a manifest.
func decodeManifest(b []byte) (*manifest, error) {
	at := bytes.LastIndex(b, []byte("crc32c "))
	if at < 0 || string(b[at:]) != fmt.Sprintf("crc32c %08x\n", crc32.Checksum(b[:at], manifestTable)) {
		return nil, errors.New("manifest has a wrong checksum")
	}
	lines := bufio.NewScanner(bytes.NewReader(b[:at]))
	if !lines.Scan() || lines.Text() != manifestTitle {
		return nil, fmt.Errorf("manifest begins with %q, this build reads %q", lines.Text(), manifestTitle)
	}
	m := &manifest{}
	for lines.Scan() {
		if err := m.decodeLine(lines.Text()); err != nil {
			return nil, fmt.Errorf("manifest line %q: %w", lines.Text(), err)
		}
	}
	return m, lines.Err()
}

func (m *manifest) decodeLine(line string) error {
	var key, id string
	if _, err := fmt.Sscan(line, &key); err != nil {
		return err
	}
	var err error
	switch key {
	case "id":
		if _, err = fmt.Sscan(line, &key, &id); err == nil {
			err = decodeHex(m.id[:], id)
		}
	case "active":
		_, err = fmt.Sscan(line, &key, &m.active)
	case "durable":
		_, err = fmt.Sscan(line, &key, &m.durable)
	case "sealed":
		var s sealedEntry
		if _, err = fmt.Sscan(line, &key, &s.number, &s.first, &s.next, &id); err == nil {
			err = decodeHex(s.footer[:], id)
		}
		m.sealed = append(m.sealed, s)
	default:
		err = errors.New("unknown word (written by a newer version?)")
	}
	return err
}

func decodeHex(dst []byte, text string) error {
	b, err := hex.DecodeString(text)
	if err == nil && copy(dst, b) != len(dst) {
		err = errors.New("too short")
	}
	return err
}

// readManifest reads the folder's manifest; nil when there is none that can be read.
func (l *Log) readManifest() (*manifest, error) {
	b, err := vfs.ReadFile(l.fs, filepath.Join(l.dir, manifestName), maxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(b)
	if err != nil {
		l.logger.Warn("manifest cannot be read and is made again from the segments", "err", err)
		return nil, nil
	}
	return m, nil
}

// writeManifest replaces the manifest by what is true at present.
func (l *Log) writeManifest() error {
	l.manifest.Lock()
	defer l.manifest.Unlock()
	l.mu.Lock()
	m := manifest{id: l.id, durable: l.durable, active: l.segments[len(l.segments)-1].number}
	for _, s := range l.segments {
		if s.sealed {
			m.sealed = append(m.sealed, sealedEntry{s.number, s.first, s.next, s.footer})
		}
	}
	l.mu.Unlock()
	if err := vfs.WriteFileAtomic(l.fs, l.dir, manifestName, m.encode()); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}
