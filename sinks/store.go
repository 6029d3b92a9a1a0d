package sinks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"cdc/changelog"
	"cdc/changelog/vfs"
)

// Store keeps a sink's newest checkpoint in a file. It is safe for concurrent use.
type Store struct {
	fs  vfs.FS
	dir string

	mu    sync.Mutex // guards the fields below
	last  Checkpoint
	start changelog.Offset
}

// checkpointFile is the file's name, and maxCheckpointBytes bounds what is read of it.
const (
	checkpointFile     = "checkpoint.json"
	maxCheckpointBytes = 64 << 20
)

// NewStore keeps checkpoints in the folder, which must be there.
func NewStore(fsys vfs.FS, dir string) *Store { return &Store{fs: fsys, dir: dir} }

// storedCheckpoint is the file's content. Stored; do not change the names.
type storedCheckpoint struct {
	Offset changelog.Offset `json:"offset"`
	State  json.RawMessage  `json:"state,omitempty"`
	Start  changelog.Offset `json:"start,omitempty"`
}

// Load reads the checkpoint; the zero value when there is none.
func (s *Store) Load() (Checkpoint, error) {
	text, err := vfs.ReadFile(s.fs, filepath.Join(s.dir, checkpointFile), maxCheckpointBytes)
	if errors.Is(err, fs.ErrNotExist) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.start = 0
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the sink's checkpoint: %w", err)
	}
	var stored storedCheckpoint
	if err := json.Unmarshal(text, &stored); err != nil {
		return Checkpoint{}, &Stop{
			Kind: changelog.StopCorrupt, Detail: fmt.Sprintf("the sink's checkpoint cannot be read: %v (%s)", err, filepath.Join(s.dir, checkpointFile)),
			Remedy: "remove the file: the sink then finds its place from the destination",
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start = stored.Start
	return Checkpoint{Offset: stored.Offset, State: stored.State}, nil
}

// Begin saves the offset behind which a sink begins that has published nothing in its life: nothing up to it will ever be published
// by it, which later checkpoints remember.
func (s *Store) Begin(at changelog.Offset) error {
	s.mu.Lock()
	s.start = at
	s.mu.Unlock()
	return s.Save(Checkpoint{Offset: at})
}

// Start is the offset of Begin as the last Load or Begin had it, 0 when there was none.
func (s *Store) Start() changelog.Offset {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start
}

// Save replaces the checkpoint when it says something new. State must be JSON or empty.
func (s *Store) Save(c Checkpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Offset == s.last.Offset && string(c.State) == string(s.last.State) {
		return nil
	}
	text, err := json.Marshal(storedCheckpoint{Offset: c.Offset, State: c.State, Start: s.start})
	if err != nil {
		return fmt.Errorf("encode the sink's checkpoint: %w", err)
	}
	if err := vfs.WriteFileAtomic(s.fs, s.dir, checkpointFile, text); err != nil {
		return fmt.Errorf("save the sink's checkpoint: %w", err)
	}
	s.last = c
	return nil
}
